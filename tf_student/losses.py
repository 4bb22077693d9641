"""Per-example losses, and the one way to average them over a global batch."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


def _per_example(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])


def noise_loss(
    eps_fn: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    noise: tf.Tensor,
    t: tf.Tensor,
    *,
    alpha_bars: np.ndarray,
) -> tf.Tensor:
    """|eps - eps(sqrt(a_t) x_0 + sqrt(1 - a_t) eps, t)|^2 (DDPM, eq. 14).

    Args:
        eps_fn: predicts noise from float32 x and int32 t `[batch]`.
        images: float32 x_0 `[batch, height, width, channels]` in [-1, 1].
        noise: eps, same shape.
        t: int32 `[batch]`.
        alpha_bars: float64 `[T]`.

    Returns:
        float32 `[batch]`, the mean over pixels.
    """
    alpha_bar = tf.gather(tf.constant(alpha_bars, tf.float32), t)[:, None, None, None]
    x_t = tf.sqrt(alpha_bar) * images + tf.sqrt(1.0 - alpha_bar) * noise
    error = noise - tf.cast(eps_fn(x_t, t), tf.float32)
    return tf.reduce_mean(tf.square(_per_example(error)), axis=-1)


def distillation_loss(
    images: tf.Tensor, targets: tf.Tensor, *, distance: str
) -> tf.Tensor:
    """Distance of student and teacher image, summed over pixels.

    Args:
        images: the student's, float32 `[batch, height, width, channels]`.
        targets: the teacher's, same shape.
        distance: `l1` or `l2` (squared error).

    Returns:
        float32 `[batch]`.
    """
    error = _per_example(images - targets)
    size = tf.abs(error) if distance == "l1" else tf.square(error)
    return tf.reduce_sum(size, axis=-1)


def global_mean(losses: tf.Tensor, global_batch_size: int) -> tf.Tensor:
    """This replica's share of the mean over the whole batch.

    Summed over replicas it is the mean, so gradients do not depend on their number.
    """
    return tf.reduce_sum(losses) / global_batch_size
