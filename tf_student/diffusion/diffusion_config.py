"""The configs of the forward process and of the sampler."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """The forward process q(x_t | x_0), and what the network predicts.

    The defaults are those of DDPM (arXiv 2006.11239, sec. 4).

    Example:

    >>> DiffusionConfig().timesteps
    1000
    """

    timesteps: int = option(
        1000, "T, the number of noise levels.", minimum=2, maximum=10**6
    )
    beta_start: float = option(
        1e-4, "Noise variance of the first step.", minimum=0, advanced=True
    )
    beta_end: float = option(
        0.02, "Noise variance of the last step.", minimum=0, advanced=True
    )

    schedule: str = option(
        "linear",
        "Schedule of the betas: linear (DDPM), scaled_linear, whose roots are linear "
        "(arXiv 2112.10752), or cosine (arXiv 2102.09672).",
        choices=("linear", "scaled_linear", "cosine"),
        advanced=True,
        added=True,
    )
    betas: tuple[float, ...] = option(
        (),
        "All betas, in place of a schedule.",
        minimum=0,
        maximum=1,
        advanced=True,
        added=True,
    )
    zero_terminal_snr: bool = option(
        False,
        "Whether to scale the schedule so that the last step is noise without an image "
        "(arXiv 2305.08891).",
        advanced=True,
        added=True,
    )
    prediction: str = option(
        "epsilon",
        "What the network predicts: epsilon, the noise (DDPM); v (arXiv 2202.00512); "
        "or x_0, the image.",
        choices=("epsilon", "v", "x_0"),
        advanced=True,
        added=True,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.betas and len(self.betas) != self.timesteps:
            raise InputError(
                "`betas` must have a value for each time step. Received: "
                f"{len(self.betas)} betas, timesteps={self.timesteps}."
            )
        if self.betas and not 0 < min(self.betas) <= max(self.betas) < 1:
            raise InputError(
                "`betas` must lie between 0 and 1. Received: "
                f"{min(self.betas)} to {max(self.betas)}."
            )
        if self.zero_terminal_snr and self.prediction == "epsilon":
            raise InputError(
                "`zero_terminal_snr` needs prediction v or x_0, because pure noise "
                "says nothing of the image. Received: prediction=epsilon."
            )
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
        "Spacing of the time steps: uniform counts up from 0, trailing down from the "
        "last; log_snr suits dpm++2m.",
        choices=("uniform", "trailing", "quadratic", "log_snr"),
    )
    calls: int = option(
        50,
        "Number of time steps; quadratic spacing removes repeated ones.",
        minimum=1,
        maximum=10**6,
    )
    solver: str = option(
        "ddim",
        "DDIM (arXiv 2010.02502, eta 0), or DPM-Solver++ 2M, a second-order method "
        "(arXiv 2211.01095).",
        choices=("ddim", "dpm++2m"),
    )
    clipping: str = option(
        "none",
        "Whether each predicted image is clipped to [-1, 1]: x_0, as diffusers does, "
        "which leaves the predicted noise as it is; or both, as guided-diffusion does, "
        "which computes the noise from the clipped image.",
        choices=("none", "x_0", "both"),
        advanced=True,
        added=True,
    )
    guidance: float = option(
        1.0,
        "Weight of classifier-free guidance (arXiv 2207.12598), for a network with "
        "classes; 1: none.",
        minimum=0,
        added=True,
    )

    def __post_init__(self) -> None:
        check(self)
