"""Noise schedules and the time steps a sampler visits, in NumPy float64."""

from typing import TypeVar

import numpy as np
import tensorflow as tf

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

T = TypeVar("T", np.ndarray, tf.Tensor)


def alpha_bars(diffusion: DiffusionConfig) -> np.ndarray:
    """Cumulative products of 1 - beta (DDPM, eq. 4).

    Returns:
        float64 `[timesteps]`, falling: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps.
    """
    betas = np.linspace(
        diffusion.beta_start, diffusion.beta_end, diffusion.timesteps, dtype=np.float64
    )
    return np.cumprod(1.0 - betas)


def half_log_snr(alpha_bars: T) -> T:
    """log(sqrt(a / (1 - a))), the lambda of DPM-Solver (arXiv 2206.00927, sec. 2.2).

    Takes and returns a NumPy array or a tensor.
    """
    if isinstance(alpha_bars, np.ndarray):
        return 0.5 * (np.log(alpha_bars) - np.log1p(-alpha_bars))
    return 0.5 * (tf.math.log(alpha_bars) - tf.math.log1p(-alpha_bars))


def sampling_timesteps(
    sampler: SamplerConfig, diffusion: DiffusionConfig
) -> np.ndarray:
    """The subsequence tau of time steps, in the order they are visited.

    `uniform` and `quadratic` are those of DDIM (arXiv 2010.02502, app. D.2): steps by
    T // calls from 0, and squares of an even grid on [0, sqrt(0.8 T)]. `log_snr` takes
    the steps nearest to an even grid of lambda from T - 1 to 0 (DPM-Solver).

    Returns:
        int32, falling and distinct, ending in 0; one network call each.
    """
    timesteps = diffusion.timesteps
    calls = min(sampler.calls, timesteps)
    if sampler.spacing == "uniform":
        steps = np.arange(calls) * (timesteps // calls)
    elif sampler.spacing == "quadratic":
        steps = np.linspace(0, np.sqrt(0.8 * timesteps), calls) ** 2
    else:
        along = half_log_snr(alpha_bars(diffusion))
        grid = np.linspace(along[-1], along[0], calls)
        steps = np.abs(along[None, :] - grid[:, None]).argmin(axis=1)
        steps[-1] = 0
    return np.unique(steps.astype(np.int32))[::-1].copy()
