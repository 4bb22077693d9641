"""The deterministic DDIM sampler (Song et al., arXiv 2010.02502), eta = 0."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


def ddim_step(
    x: tf.Tensor, eps: tf.Tensor, *, alpha_bar: tf.Tensor, next_alpha_bar: tf.Tensor
) -> tf.Tensor:
    """One step (eq. 12 with sigma = 0): predict x_0, then noise it less.

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
