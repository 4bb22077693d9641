"""Losses of each example, and their mean over a global batch."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_student.diffusion import predictions


def _per_example(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])


def noise_loss(
    network: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    noise: tf.Tensor,
    t: tf.Tensor,
    *,
    alpha_bars: np.ndarray,
    prediction: str = "epsilon",
) -> tf.Tensor:
    """|eps - network(sqrt(a_t) x_0 + sqrt(1 - a_t) eps, t)|^2 (DDPM, eq. 14).

    For a network that predicts v or the image, these take the place of eps.

    Args:
        network: its output for float32 x `[batch, height, width, channels]` and int32 t
            `[batch]`.
        images: x_0, float32 `[batch, height, width, channels]` in [-1, 1].
        noise: eps, float32 of the same shape, standard normal.
        t: time steps, int32 `[batch]` in [0, T - 1].
        alpha_bars: a, float64 `[T]`.
        prediction: what the network predicts: `epsilon`, `v` or `x_0`.

    Returns:
        float32 `[batch]`, the mean over pixels and channels.

    Example:

    >>> from tf_student.diffusion.losses import noise_loss
    >>> images, noise = tf.zeros([2, 8, 8, 1]), tf.ones([2, 8, 8, 1])
    >>> noise_loss(
    ...     lambda x, t: tf.zeros_like(x),
    ...     images,
    ...     noise,
    ...     tf.constant([0, 1]),
    ...     alpha_bars=np.array([0.9, 0.8]),
    ... ).numpy().tolist()
    [1.0, 1.0]
    """
    alpha_bar = tf.gather(tf.constant(alpha_bars, tf.float32), t)[:, None, None, None]
    x_t = tf.sqrt(alpha_bar) * images + tf.sqrt(1.0 - alpha_bar) * noise
    target = predictions.target(
        images, noise, alpha_bar=alpha_bar, prediction=prediction
    )
    error = target - tf.cast(network(x_t, t), tf.float32)
    return tf.reduce_mean(tf.square(_per_example(error)), axis=-1)


@keras.saving.register_keras_serializable("tf_student")
def distillation_loss(
    targets: tf.Tensor, images: tf.Tensor, *, distance: str = "l2"
) -> tf.Tensor:
    """Distance between the student's and the teacher's image for the same noise.

    This is the loss of Luhman & Luhman (arXiv 2101.02388, eq. 3): the sum over pixels
    and channels of |target - image| (`l1`) or (target - image)^2 (`l2`). The order of
    the arguments is that of a Keras loss.

    Args:
        targets: images of the teacher, float32 `[batch, height, width, channels]` in
            [-1, 1].
        images: images of the student, float32 of the same shape.
        distance: `l1` or `l2`.

    Returns:
        float32 `[batch]`.

    Raises:
        ValueError: if `distance` is neither `l1` nor `l2`.

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
    """Returns the share of one replica in the mean over the global batch.

    The sum of the shares over all replicas is the mean, so gradients do not depend on
    the number of replicas.

    Args:
        losses: float32, the losses of this replica's examples.
        global_batch_size: the number of examples of all replicas.

    Returns:
        float32 scalar.
    """
    return tf.reduce_sum(losses) / global_batch_size
