"""The configs of diffusers' schedulers."""

from typing import Any

from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

_SCHEDULES = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
}
_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x_0"}
_READ = {
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "predict_epsilon",
    "rescale_betas_zero_snr",
}
# Beginnings of the names of schedulers whose networks are others.
_OTHERS = (
    *("CMStochastic", "ConsistencyDecoder", "CosineDPM", "EDM", "FlowMatch", "Karras"),
    *("RePaint", "SCM", "ScoreSde", "UnCLIP", "VQDiffusion", "Wuerstchen"),
)
# Deterministic samplers do not use a variance; `SamplerConfig` replaces the others.
_UNUSED = {
    *("algorithm_type", "clip_sample", "clip_sample_range", "disable_corrector"),
    *("dynamic_thresholding_ratio", "eta", "euler_at_final", "final_sigmas_type"),
    *("interpolation_type", "lambda_min_clipped", "lower_order_final"),
    *("noise_sampler_seed", "original_inference_steps", "predict_x0"),
    *("predictor_order", "corrector_order", "sample_max_value", "set_alpha_to_one"),
    *("sigma_max", "sigma_min", "skip_prk_steps", "solver_order", "solver_p"),
    *("solver_type", "steps_offset", "tensor_format", "thresholding"),
    *("timestep_spacing", "timestep_values", "use_beta_sigmas"),
    *("use_exponential_sigmas", "use_karras_sigmas", "use_lu_lambdas"),
    *("variance_type", "flow_shift"),
}
# Options that must have a value for the network to get integer time steps.
_FIXED = {"timestep_type": "discrete"}
_MOST_STEPS = 1_000_000


def read_scheduler(values: dict[str, Any], origin: str) -> DiffusionConfig:
    """The forward process that a `scheduler_config.json` describes.

    Args:
        values: the parsed file.
        origin: the file, for messages.

    Raises:
        InputError: if the prediction or the schedule is not supported.
    """
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    _refuse_unsupported(values, origin)
    betas = values.get("trained_betas") or ()
    if type(betas) not in (list, tuple) or any(not _is_number(b) for b in betas):
        raise InputError(f"{origin}: `trained_betas` must be numbers.")
    for name, kind in (
        ("num_train_timesteps", int),
        ("beta_start", float),
        ("beta_end", float),
        ("rescale_betas_zero_snr", bool),
    ):
        _check_type(values, name, kind, origin)
    # Until 2022, this said whether the network predicts noise or the image.
    if values.get("predict_epsilon") is False:
        values = {"prediction_type": "sample", **values}
    return DiffusionConfig(
        timesteps=values.get("num_train_timesteps", 1000),
        beta_start=values.get("beta_start", 1e-4),
        beta_end=values.get("beta_end", 0.02),
        schedule=_choice(values, "beta_schedule", "linear", _SCHEDULES, origin),
        betas=tuple(map(float, betas)),
        zero_terminal_snr=values.get("rescale_betas_zero_snr", False),
        prediction=_choice(values, "prediction_type", "epsilon", _PREDICTIONS, origin),
    )


def _refuse_unsupported(values: dict[str, Any], origin: str) -> None:
    kind = values.get("_class_name", "DDPMScheduler")
    if not isinstance(kind, str) or kind.startswith(_OTHERS):
        raise InputError(
            f"{origin} must describe a scheduler of discrete noise levels, such as "
            f"DDPMScheduler. Received: {kind!r}."
        )
    for name, value in values.items():
        known = name in _READ or name in _UNUSED or name.startswith("_")
        known = known or _FIXED.get(name, ...) == value
        if not known and value is not None and value is not False:
            raise InputError(f"{origin} has an unsupported option: {name}={value!r}.")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _check_type(values: dict[str, Any], name: str, kind: type, origin: str) -> None:
    value = values.get(name, kind(2))
    allowed = (int, float) if kind is float else (kind,)
    steps = kind is int and type(value) is int
    if type(value) not in allowed or (steps and not 2 <= value <= _MOST_STEPS):
        expected = {
            bool: "true or false",
            float: "a number",
            int: f"an integer from 2 to {_MOST_STEPS:,}",
        }[kind]
        raise InputError(
            f"{origin}: `{name}` must be {expected}. Received: {name}={value!r}."
        )


def _choice(
    values: dict[str, Any], name: str, default: str, ours: dict[str, str], origin: str
) -> str:
    value = values.get(name, default)
    if not isinstance(value, str) or value not in ours:
        raise InputError(
            f"{origin}: `{name}` must be one of: {', '.join(ours)}. "
            f"Received: {name}={value!r}."
        )
    return ours[value]


def write_scheduler(diffusion: DiffusionConfig) -> dict[str, Any]:
    """The config of a DDIM scheduler that samples as this library does."""
    theirs = {ours: name for name, ours in _SCHEDULES.items()}
    predictions = {ours: name for name, ours in _PREDICTIONS.items()}
    values = {
        "_class_name": "DDIMScheduler",
        "beta_end": diffusion.beta_end,
        "beta_schedule": theirs[diffusion.schedule],
        "beta_start": diffusion.beta_start,
        "clip_sample": False,
        "num_train_timesteps": diffusion.timesteps,
        "prediction_type": predictions[diffusion.prediction],
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "timestep_spacing": "leading",
    }
    if diffusion.betas:
        values["trained_betas"] = list(diffusion.betas)
    if diffusion.zero_terminal_snr:
        values["rescale_betas_zero_snr"] = True
        values["timestep_spacing"] = "trailing"
    return values
