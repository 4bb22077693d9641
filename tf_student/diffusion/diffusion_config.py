"""The configs of the forward process and of the sampler."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """The forward process q(x_t | x_0) with linear betas (DDPM, sec. 4).

    Example:

    >>> DiffusionConfig().timesteps
    1000
    """

    timesteps: int = option(1000, "T, the number of noise levels.", minimum=2)
    beta_start: float = option(
        1e-4, "Noise variance of the first step.", minimum=0, advanced=True
    )
    beta_end: float = option(
        0.02, "Noise variance of the last step.", minimum=0, advanced=True
    )

    def __post_init__(self) -> None:
        check(self)
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise InputError(
                "`beta_start` and `beta_end` must satisfy 0 < beta_start <= beta_end "
                f"< 1. Received: beta_start={self.beta_start}, "
                f"beta_end={self.beta_end}."
            )


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """The deterministic sampler of a teacher.

    Example:

    >>> SamplerConfig("quadratic", 100).solver
    'ddim'
    """

    spacing: str = option(
        "uniform",
        "Spacing of the time steps; log_snr suits dpm++2m.",
        choices=("uniform", "quadratic", "log_snr"),
    )
    calls: int = option(
        50,
        "Number of time steps; quadratic spacing removes repeated ones.",
        minimum=1,
    )
    solver: str = option(
        "ddim",
        "DDIM (arXiv 2010.02502, eta 0), or DPM-Solver++ 2M, a second-order method "
        "(arXiv 2211.01095).",
        choices=("ddim", "dpm++2m"),
    )

    def __post_init__(self) -> None:
        check(self)
