"""The arguments of guided-diffusion's scripts, which its files do not hold."""

import dataclasses
from typing import Any

import numpy as np

from tf_student.convert import json_options
from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option

# Rescaled time steps count to this.
_RESCALED = 1000
_MOST = 1_000_000


@dataclasses.dataclass(frozen=True)
class Options:
    """What the tensors of a file do not show, by the names of guided-diffusion.

    The image size and the heads are None where they are unknown. Heads have either
    `num_heads` or `num_head_channels`.
    """

    image_size: int | None = option(None, "Size of images.", minimum=1, maximum=_MOST)
    num_heads: int | None = option(None, "Heads.", minimum=1, maximum=_MOST)
    num_head_channels: int | None = option(
        None, "Channels of a head.", minimum=1, maximum=_MOST
    )
    use_new_attention_order: bool = option(
        False, "Whether q, k and v follow each other for all heads at once."
    )
    dropout: float = option(0.0, "Dropout rate.", minimum=0, maximum=1)
    noise_schedule: str = option("linear", "The betas.", choices=("linear", "cosine"))
    diffusion_steps: int = option(1000, "T.", minimum=1, maximum=_MOST)
    predict_xstart: bool = option(False, "Whether the network predicts the image.")
    rescale_timesteps: bool = option(
        False, "Whether the network gets 1000 t / T in place of t."
    )


def read_options(values: Any, origin: str) -> Options:
    """The options that a JSON file of the arguments states.

    Raises:
        InputError: if it is not an object, or if a value is not supported.
    """
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    # -1 stands for an argument that is not used.
    values = {k: v for k, v in values.items() if v not in (-1, None) or v is False}
    heads = values.get("num_heads")
    if values.get("num_heads_upsample", heads) != heads:
        raise InputError(
            f"{origin}: `num_heads_upsample` must be num_heads. Received: "
            f"num_heads_upsample={values['num_heads_upsample']!r}."
        )
    return json_options.read_options(Options, values, origin)


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
    options = dataclasses.replace(options, **changes)
    check(options)
    return options


def read_diffusion(options: Options) -> DiffusionConfig:
    """The forward process.

    With rescaled time steps it has those steps whose rescaled number is an integer,
    which a network of this library can be called with.

    Raises:
        InputError: if the schedule or the number of steps is not supported.
    """
    steps = options.diffusion_steps
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
