"""The noise schedule, and the time steps that a sampler visits, in NumPy float64."""

from typing import TypeVar

import numpy as np
import tensorflow as tf

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

T = TypeVar("T", np.ndarray, tf.Tensor)

_LEAST_SIGNAL = 1e-9


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
    bars = np.cumprod(1.0 - _betas(diffusion))
    if not diffusion.zero_terminal_snr:
        return bars
    # Lin et al. (arXiv 2305.08891, alg. 1): the last root becomes 0, the first stays.
    roots = np.sqrt(bars)
    return np.square((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1]))


def _betas(diffusion: DiffusionConfig) -> np.ndarray:
    if diffusion.betas:
        return np.array(diffusion.betas, np.float64)
    count = diffusion.timesteps
    start, end = diffusion.beta_start, diffusion.beta_end
    if diffusion.schedule == "scaled_linear":
        return np.square(np.linspace(np.sqrt(start), np.sqrt(end), count))
    if diffusion.schedule == "cosine":
        # Nichol & Dhariwal (arXiv 2102.09672, eq. 17), with betas of at most 0.999.
        times = np.arange(count + 1) / count
        signal = np.square(np.cos((times + 0.008) / 1.008 * np.pi / 2))
        return np.minimum(1.0 - signal[1:] / signal[:-1], 0.999)
    return np.linspace(start, end, count, dtype=np.float64)


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


def network_calls(sampler: SamplerConfig, diffusion: DiffusionConfig) -> int:
    """Network calls for an image; guidance needs two at each time step."""
    return len(sampling_timesteps(sampler, diffusion)) * (1 + (sampler.guidance != 1))


def sampling_timesteps(
    sampler: SamplerConfig, diffusion: DiffusionConfig
) -> np.ndarray:
    """The subsequence tau of time steps, in the order in which a sampler visits them.

    `uniform` and `quadratic` follow DDIM (arXiv 2010.02502, app. D.2): the multiples of
    T / calls, rounded down, and the squares of an even grid on [0, sqrt(0.8 T)].
    `trailing` takes even steps down from T - 1 (arXiv 2305.08891, sec. 3.3). `log_snr`
    selects the steps nearest to an even grid of lambda from T - 1 to 0 (DPM-Solver). A
    single call is at T - 1, where images are noise.

    Returns:
        int32, decreasing and distinct; down to 0 except for `trailing` and a single
        call. The sampler calls the network once for each.

    Example:

    >>> from tf_student.diffusion import schedules
    >>> schedules.sampling_timesteps(SamplerConfig("uniform", 4), DiffusionConfig())
    array([750, 500, 250,   0], dtype=int32)
    """
    timesteps = diffusion.timesteps
    steps: np.ndarray
    calls = min(sampler.calls, timesteps)
    if calls == 1:
        steps = np.array([timesteps - 1])
    elif sampler.spacing == "uniform":
        steps = np.arange(calls) * timesteps // calls
    elif sampler.spacing == "quadratic":
        steps = np.linspace(0, np.sqrt(0.8 * timesteps), calls) ** 2
    elif sampler.spacing == "trailing":
        steps = np.round(timesteps - np.arange(calls) * (timesteps / calls)) - 1
    else:
        # Pure noise has no lambda.
        along = half_log_snr(np.maximum(alpha_bars(diffusion), _LEAST_SIGNAL))
        grid = np.linspace(along[-1], along[0], calls)
        steps = np.abs(along[None, :] - grid[:, None]).argmin(axis=1)
        steps[0], steps[-1] = timesteps - 1, 0
    return np.unique(steps.astype(np.int32))[::-1].copy()
