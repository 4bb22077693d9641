"""Deterministic samplers: DDIM and DPM-Solver++ of second order."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


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
    x_0 = (x - tf.sqrt(1.0 - alpha_bar) * eps) / tf.sqrt(alpha_bar)
    return tf.sqrt(next_alpha_bar) * x_0 + tf.sqrt(1.0 - next_alpha_bar) * eps


def ddim_sample(
    eps_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
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

    def half_log_snr(alpha_bar):
        return 0.5 * (tf.math.log(alpha_bar) - tf.math.log1p(-alpha_bar))

    h = half_log_snr(next_alpha_bar) - half_log_snr(alpha_bar)
    h_before = half_log_snr(alpha_bar) - half_log_snr(last_alpha_bar)
    extrapolated = x_0 + 0.5 * h / h_before * (x_0 - last_x_0)
    shrink = tf.sqrt((1.0 - next_alpha_bar) / (1.0 - alpha_bar))
    return shrink * x - tf.sqrt(next_alpha_bar) * tf.math.expm1(-h) * extrapolated


def dpm_sample(
    eps_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
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
        x_0 = (x - tf.sqrt(1.0 - now[i]) * eps) / tf.sqrt(now[i])
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


SOLVERS = {"ddim": ddim_sample, "dpm++2m": dpm_sample}


def slerp(z_0: tf.Tensor, z_1: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Spherical interpolation (Shoemake 1985), which keeps the norm of the noise.

    Args:
        z_0: float32, any shape.
        z_1: like z_0.
        weights: float32 `[n]`: 0 gives z_0, 1 gives z_1.

    Returns:
        float32 `[n, *z_0.shape]`.
    """
    cosine = tf.reduce_sum(z_0 * z_1) / (tf.norm(z_0) * tf.norm(z_1))
    angle = tf.acos(tf.clip_by_value(cosine, -1.0 + 1e-6, 1.0 - 1e-6))
    weights = tf.reshape(weights, [-1] + [1] * z_0.shape.rank)
    from_0 = tf.sin((1.0 - weights) * angle) / tf.sin(angle)
    from_1 = tf.sin(weights * angle) / tf.sin(angle)
    return from_0 * z_0 + from_1 * z_1
