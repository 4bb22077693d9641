"""The noise schedule, and the time steps that a sampler visits, in NumPy float64."""

from typing import TypeVar

import numpy as np
import tensorflow as tf

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

T = TypeVar("T", np.ndarray, tf.Tensor)


def alpha_bars(diffusion: DiffusionConfig) -> np.ndarray:
    """Cumulative products a_t of 1 - beta (DDPM, eq. 4).

    They define the forward process x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps.

    Returns:
        float64 `[timesteps]`, decreasing.

    Example:

    >>> from tf_student.diffusion import schedules
    >>> schedules.alpha_bars(DiffusionConfig(3, 0.1, 0.3)).round(3).tolist()
    [0.9, 0.72, 0.504]
    """
    betas = np.linspace(
        diffusion.beta_start, diffusion.beta_end, diffusion.timesteps, dtype=np.float64
    )
    return np.cumprod(1.0 - betas)


def half_log_snr(alpha_bars: T) -> T:
    """log(sqrt(a / (1 - a))), the lambda of DPM-Solver (arXiv 2206.00927, sec. 2.2).

    Args:
        alpha_bars: a in (0, 1), a NumPy array or a tensor.

    Returns:
        An array or a tensor like `alpha_bars`.
    """
    if isinstance(alpha_bars, np.ndarray):
        return 0.5 * (np.log(alpha_bars) - np.log1p(-alpha_bars))
    return 0.5 * (tf.math.log(alpha_bars) - tf.math.log1p(-alpha_bars))


def sampling_timesteps(
    sampler: SamplerConfig, diffusion: DiffusionConfig
) -> np.ndarray:
    """The subsequence tau of time steps, in the order in which a sampler visits them.

    `uniform` and `quadratic` follow DDIM (arXiv 2010.02502, app. D.2): the multiples of
    T // calls, and the squares of an even grid on [0, sqrt(0.8 T)]. `log_snr` selects
    the steps nearest to an even grid of lambda from T - 1 to 0 (DPM-Solver).

    Returns:
        int32, decreasing and distinct, down to 0. The sampler calls the network once
        for each.

    Example:

    >>> from tf_student.diffusion import schedules
    >>> schedules.sampling_timesteps(SamplerConfig("uniform", 4), DiffusionConfig())
    array([750, 500, 250,   0], dtype=int32)
    """
    timesteps = diffusion.timesteps
    steps: np.ndarray
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
