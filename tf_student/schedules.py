"""Noise schedules and the time steps a sampler visits, in NumPy float64."""

import numpy as np

from tf_student.config import DiffusionConfig, SamplerConfig


def alpha_bars(diffusion: DiffusionConfig) -> np.ndarray:
    """Cumulative products of 1 - beta (DDPM, eq. 4).

    Returns:
        float64 `[timesteps]`, falling: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps.
    """
    betas = np.linspace(
        diffusion.beta_start, diffusion.beta_end, diffusion.timesteps, dtype=np.float64
    )
    return np.cumprod(1.0 - betas)


def sampling_timesteps(sampler: SamplerConfig, timesteps: int) -> np.ndarray:
    """The subsequence tau of time steps, in the order they are visited.

    Both spacings are those of DDIM (arXiv 2010.02502, app. D.2): `uniform` steps by
    T // calls from 0, `quadratic` squares an even grid on [0, sqrt(0.8 T)].

    Returns:
        int32, falling and distinct, ending in 0; one network call each.
    """
    calls = min(sampler.calls, timesteps)
    if sampler.spacing == "uniform":
        steps = np.arange(calls) * (timesteps // calls)
    else:
        steps = np.linspace(0, np.sqrt(0.8 * timesteps), calls) ** 2
    return np.unique(steps.astype(np.int32))[::-1].copy()
