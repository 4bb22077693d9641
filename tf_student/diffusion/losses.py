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
    targets: tf.Tensor, images: tf.Tensor, *, distance: str = "l1"
) -> tf.Tensor:
    """Distance of the student's image to the teacher's, summed over pixels.

    This is the loss of Luhman & Luhman (arXiv 2101.02388, eq. 3). The order of the
    arguments is that of a Keras loss.

    Args:
        targets: the teacher's images, float32 `[batch, height, width, channels]` in
            [-1, 1].
        images: the student's, same shape.
        distance: `l1`, or `l2` for the squared error.

    Returns:
        float32 `[batch]`.

    Example:

    >>> loss = distillation_loss(tf.zeros([2, 8, 8, 1]), tf.ones([2, 8, 8, 1]))
    >>> loss.numpy().tolist()
    [64.0, 64.0]
    """
    if distance not in ("l1", "l2"):
        raise ValueError(
            f"`distance` must be l1 or l2. Received: distance={distance!r}."
        )
    error = _per_example(images - targets)
    size = tf.abs(error) if distance == "l1" else tf.square(error)
    return tf.reduce_sum(size, axis=-1)


def global_mean(losses: tf.Tensor, global_batch_size: int) -> tf.Tensor:
    """This replica's share of the mean over the whole batch.

    Summed over replicas it is the mean, so gradients do not depend on their number.
    """
    return tf.reduce_sum(losses) / global_batch_size
