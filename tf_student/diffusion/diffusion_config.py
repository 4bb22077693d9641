"""The forward process and the sampler, as configs."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """The forward process q(x_t | x_0), with linear betas (DDPM, sec. 4)."""

    timesteps: int = option(1000, "T, the number of noise levels.", minimum=2)
    beta_start: float = option(1e-4, "Noise variance at the first step.", minimum=0)
    beta_end: float = option(0.02, "Noise variance at the last step.", minimum=0)

    def __post_init__(self):
        check(self)
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise InputError(
                "`beta_start` and `beta_end` must rise within (0, 1). Received: "
                f"beta_start={self.beta_start}, beta_end={self.beta_end}."
            )


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """The teacher's deterministic sampler."""

    spacing: str = option(
        "uniform",
        "Spacing of the time steps; log_snr suits dpm++2m.",
        choices=("uniform", "quadratic", "log_snr"),
    )
    calls: int = option(
        50, "Time steps asked for; quadratic spacing drops repeated ones.", minimum=1
    )
    solver: str = option(
        "ddim",
        "ddim (arXiv 2010.02502, eta 0), or dpm++2m, of second order (2211.01095).",
        choices=("ddim", "dpm++2m"),
    )

    def __post_init__(self):
        check(self)
