"""Deterministic samplers: DDIM and DPM-Solver++ of second order."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.diffusion import predictions, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

# Predicts the noise in float32 x `[batch, ...]` at int32 time steps `[batch]`.
EpsFn = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def ddim_step(
    x: tf.Tensor, eps: tf.Tensor, *, alpha_bar: tf.Tensor, next_alpha_bar: tf.Tensor
) -> tf.Tensor:
    """One step (arXiv 2010.02502, eq. 12, sigma = 0): predict x_0, then noise it less.

    Args:
        x: float32 `[batch, ...]`, noised with `alpha_bar`.
        eps: the noise in it, same shape.
        alpha_bar: scalar, of this step.
        next_alpha_bar: scalar, of the next and less noisy one.

    Returns:
        float32 like x.
    """
    x_0 = predictions.x_0_from_eps(x, eps, alpha_bar=alpha_bar)
    return tf.sqrt(next_alpha_bar) * x_0 + tf.sqrt(1.0 - next_alpha_bar) * eps


def ddim_sample(
    eps_fn: EpsFn,
    z: tf.Tensor,
    *,
    timesteps: np.ndarray,
    alpha_bars: np.ndarray,
) -> tf.Tensor:
    """Follows the whole trajectory from noise to image, in float32, without clipping.

    Args:
        eps_fn: predicts noise from float32 x and int32 t `[batch]`.
        z: float32 noise `[batch, ...]`.
        timesteps: falling time steps; one call of `eps_fn` each.
        alpha_bars: float64 `[T]`, one for each time step of the process.

    Returns:
        float32 like z; the last step goes to alpha_bar = 1.
    """
    along = alpha_bars[timesteps]
    steps = tf.constant(timesteps, tf.int32)
    now = tf.constant(along, tf.float32)
    after = tf.constant(np.append(along[1:], 1.0), tf.float32)

    def body(i, x):
        t = tf.fill([tf.shape(x)[0]], steps[i])
        eps = tf.cast(eps_fn(x, t), tf.float32)
        x_next = ddim_step(x, eps, alpha_bar=now[i], next_alpha_bar=after[i])
        return i + 1, tf.ensure_shape(x_next, z.shape)

    _, x = tf.while_loop(
        lambda i, _: i < len(timesteps), body, (0, z), maximum_iterations=len(timesteps)
    )
    return x


def dpm_step(
    x: tf.Tensor,
    x_0: tf.Tensor,
    last_x_0: tf.Tensor,
    *,
    alpha_bar: tf.Tensor,
    next_alpha_bar: tf.Tensor,
    last_alpha_bar: tf.Tensor,
) -> tf.Tensor:
    """One step of DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, alg. 2).

    With lambda = log(sqrt(a / (1 - a))), h its step and r the step before over h, x_0
    is extrapolated to D = (1 + 1 / (2 r)) x_0 - 1 / (2 r) last_x_0, and the linear part
    of the equation is solved exactly. With D = x_0 this is DDIM.

    Args:
        x: float32 `[batch, ...]`, noised with `alpha_bar`.
        x_0: the image predicted from it, same shape.
        last_x_0: the prediction before.
        alpha_bar: scalar, of this step.
        next_alpha_bar: scalar, of the next, below 1.
        last_alpha_bar: scalar, of the step before.

    Returns:
        float32 like x.
    """
    log_snr = schedules.half_log_snr
    h = log_snr(next_alpha_bar) - log_snr(alpha_bar)
    h_before = log_snr(alpha_bar) - log_snr(last_alpha_bar)
    extrapolated = x_0 + 0.5 * h / h_before * (x_0 - last_x_0)
    shrink = tf.sqrt((1.0 - next_alpha_bar) / (1.0 - alpha_bar))
    return shrink * x - tf.sqrt(next_alpha_bar) * tf.math.expm1(-h) * extrapolated


def dpm_sample(
    eps_fn: EpsFn,
    z: tf.Tensor,
    *,
    timesteps: np.ndarray,
    alpha_bars: np.ndarray,
) -> tf.Tensor:
    """Like `ddim_sample`, by `dpm_step`; the first and the last step are DDIM's.

    The last goes to alpha_bar = 1, where the second order is not defined.
    """
    along = alpha_bars[timesteps]
    steps = tf.constant(timesteps, tf.int32)
    now = tf.constant(along, tf.float32)
    after = tf.constant(np.append(along[1:], 1.0), tf.float32)
    last = len(timesteps) - 1

    def body(i, x, last_x_0):
        t = tf.fill([tf.shape(x)[0]], steps[i])
        eps = tf.cast(eps_fn(x, t), tf.float32)
        x_0 = predictions.x_0_from_eps(x, eps, alpha_bar=now[i])
        x_next = tf.cond(
            (i > 0) & (i < last),
            lambda: dpm_step(
                x,
                x_0,
                last_x_0,
                alpha_bar=now[i],
                next_alpha_bar=after[i],
                last_alpha_bar=now[i - 1],
            ),
            lambda: ddim_step(x, eps, alpha_bar=now[i], next_alpha_bar=after[i]),
        )
        return i + 1, tf.ensure_shape(x_next, z.shape), tf.ensure_shape(x_0, z.shape)

    _, x, _ = tf.while_loop(
        lambda i, *_: i <= last,
        body,
        (0, z, tf.zeros_like(z)),
        maximum_iterations=last + 1,
    )
    return x


_SOLVERS = {"ddim": ddim_sample, "dpm++2m": dpm_sample}


def make_sampler(
    eps_fn: EpsFn,
    diffusion: DiffusionConfig = DiffusionConfig(),
    sampler: SamplerConfig = SamplerConfig(),
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The sampler that a config describes, as a function of noise.

    Args:
        eps_fn: predicts noise from float32 x and int32 t `[batch]`.
        diffusion: the forward process that `eps_fn` was trained on.
        sampler: solver, spacing and number of steps.

    Returns:
        A function from float32 noise `[batch, height, width, channels]` to float32
        images of the same shape, about [-1, 1].

    Example:

    >>> sample = make_sampler(lambda x, t: tf.zeros_like(x))
    >>> sample(tf.random.normal([2, 8, 8, 1])).shape
    TensorShape([2, 8, 8, 1])
    """
    timesteps = schedules.sampling_timesteps(sampler, diffusion)
    alpha_bars = schedules.alpha_bars(diffusion)
    solve = _SOLVERS[sampler.solver]

    def sample(z: tf.Tensor) -> tf.Tensor:
        return solve(eps_fn, z, timesteps=timesteps, alpha_bars=alpha_bars)

    return sample
