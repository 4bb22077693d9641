"""The configs of diffusers' schedulers."""

import dataclasses
from typing import Any

from tf_student.convert.json_options import read_options
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import option

_SCHEDULES = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "squaredcos_cap_v2": "cosine",
}
_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x_0"}
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


@dataclasses.dataclass(frozen=True)
class _Options:
    """The options of schedulers that are read, with diffusers' defaults."""

    num_train_timesteps: int = option(1000, "Time steps.", minimum=2, maximum=10**6)
    beta_start: float = option(1e-4, "First beta.")
    beta_end: float = option(0.02, "Last beta.")
    beta_schedule: str = option("linear", "Between them.", choices=tuple(_SCHEDULES))
    trained_betas: tuple[float, ...] | None = option(None, "In place of a schedule.")
    rescale_betas_zero_snr: bool = option(False, "Whether no signal is left at last.")
    prediction_type: str = option(
        "epsilon", "What the network predicts.", choices=tuple(_PREDICTIONS)
    )
    predict_epsilon: bool | None = option(None, "Whether the network predicts noise.")


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
    # Until 2022, this said whether the network predicts noise or the image.
    if values.get("predict_epsilon") is False:
        values = {"prediction_type": "sample", **values}
    options = read_options(_Options, values, origin)
    return DiffusionConfig(
        timesteps=options.num_train_timesteps,
        beta_start=options.beta_start,
        beta_end=options.beta_end,
        schedule=_SCHEDULES[options.beta_schedule],
        betas=tuple(map(float, options.trained_betas or ())),
        zero_terminal_snr=options.rescale_betas_zero_snr,
        prediction=_PREDICTIONS[options.prediction_type],
    )


def _refuse_unsupported(values: dict[str, Any], origin: str) -> None:
    kind = values.get("_class_name", "DDPMScheduler")
    if not isinstance(kind, str) or kind.startswith(_OTHERS):
        raise InputError(
            f"{origin} must describe a scheduler of discrete noise levels, such as "
            f"DDPMScheduler. Received: {kind!r}."
        )
    read = {field.name for field in dataclasses.fields(_Options)}
    for name, value in values.items():
        known = name in read or name in _UNUSED or name.startswith("_")
        known = known or _FIXED.get(name, ...) == value
        if not known and value is not None and value is not False:
            raise InputError(f"{origin} has an unsupported option: {name}={value!r}.")


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
