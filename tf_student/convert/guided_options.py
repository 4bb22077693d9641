"""The arguments of guided-diffusion's scripts, which its files do not hold."""

import dataclasses
from typing import Any

import numpy as np

from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

# The arguments of their scripts that no tensor shows: type and smallest value.
_ARGUMENTS = {
    "image_size": (int, 1),
    "num_heads": (int, 1),
    "num_head_channels": (int, 1),
    "use_new_attention_order": (bool, None),
    "dropout": (float, 0),
    "noise_schedule": (str, None),
    "diffusion_steps": (int, 1),
    "predict_xstart": (bool, None),
    "rescale_timesteps": (bool, None),
}
_LARGEST = 1_000_000
# Rescaled time steps count to this.
_RESCALED = 1000


@dataclasses.dataclass(frozen=True)
class Options:
    """What the tensors of a file do not show, by the names of guided-diffusion.

    Attributes:
        image_size: height and width of an image; None if it is unknown.
        num_heads: heads of an attention; None if it is unknown.
        num_head_channels: channels of a head, in place of `num_heads`.
        use_new_attention_order: whether q, k and v follow each other for all heads at
            once; otherwise for each head.
        dropout: dropout rate.
        noise_schedule: `linear` or `cosine`.
        diffusion_steps: T.
        predict_xstart: whether the network predicts the image.
        rescale_timesteps: whether the network gets 1000 t / T in place of t.
    """

    image_size: int | None = None
    num_heads: int | None = None
    num_head_channels: int | None = None
    use_new_attention_order: bool = False
    dropout: float = 0.0
    noise_schedule: str = "linear"
    diffusion_steps: int = 1000
    predict_xstart: bool = False
    rescale_timesteps: bool = False


def read_options(values: Any, origin: str) -> Options:
    """The options that a JSON file of the arguments states.

    Raises:
        InputError: if it is not an object, or if a value is not supported.
    """
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    # -1 stands for an argument that is not used.
    values = {k: v for k, v in values.items() if v not in (-1, None) or v is False}
    given = {name: values[name] for name in _ARGUMENTS if name in values}
    for name, value in given.items():
        kind, minimum = _ARGUMENTS[name]
        allowed = (int, float) if kind is float else (kind,)
        # Not `value < minimum`, which is false for NaN.
        fits = minimum is None or (type(value) in allowed and minimum <= value)
        if type(value) not in allowed or not fits:
            least = "" if minimum is None else f" of at least {minimum}"
            raise InputError(
                f"{origin}: `{name}` must be {kind.__name__}{least}. "
                f"Received: {name}={value!r}."
            )
        if minimum is not None and value > _LARGEST:
            raise InputError(
                f"{origin}: `{name}` must be at most {_LARGEST:,}. "
                f"Received: {name}={value!r}."
            )
    heads = values.get("num_heads")
    if values.get("num_heads_upsample", heads) != heads:
        raise InputError(
            f"{origin}: `num_heads_upsample` must be num_heads. Received: "
            f"num_heads_upsample={values['num_heads_upsample']!r}."
        )
    return Options(**given)


def with_given(options: Options, given: dict[str, Any]) -> Options:
    """The options, with those that the user gives by the names of our configs.

    Takes `timesteps` and `schedule` out of `given`: the betas depend on both.
    """
    changes = {
        theirs: given[ours]
        for ours, theirs in (
            ("image_size", "image_size"),
            ("heads", "num_heads"),
            ("head_width", "num_head_channels"),
            ("timesteps", "diffusion_steps"),
            ("schedule", "noise_schedule"),
        )
        if ours in given
    }
    if "heads" in given:
        changes["num_head_channels"] = None
    for name in ("timesteps", "schedule"):
        given.pop(name, None)
    return dataclasses.replace(options, **changes)


def read_diffusion(options: Options) -> DiffusionConfig:
    """The forward process.

    With rescaled time steps it has those steps whose rescaled number is an integer,
    which a network of this library can be called with.

    Raises:
        InputError: if the schedule or the number of steps is not supported.
    """
    steps = options.diffusion_steps
    if options.noise_schedule not in ("linear", "cosine"):
        raise InputError(
            "`noise_schedule` must be linear or cosine. "
            f"Received: noise_schedule={options.noise_schedule!r}."
        )
    diffusion = DiffusionConfig(
        timesteps=steps,
        # They scale the betas to the number of steps.
        beta_start=min(1e-4 * 1000 / steps, 0.999),
        beta_end=min(0.02 * 1000 / steps, 0.999),
        schedule=options.noise_schedule,
        prediction="x_0" if options.predict_xstart else "epsilon",
    )
    if not options.rescale_timesteps or steps == _RESCALED:
        return diffusion
    if steps % _RESCALED:
        raise InputError(
            f"`rescale_timesteps` needs a multiple of {_RESCALED} steps. Received: "
            f"diffusion_steps={steps}."
        )
    bars = schedules.alpha_bars(diffusion)[:: steps // _RESCALED]
    betas = 1.0 - bars / np.concatenate([[1.0], bars[:-1]])
    return dataclasses.replace(
        diffusion, timesteps=_RESCALED, schedule="linear", betas=tuple(betas.tolist())
    )
