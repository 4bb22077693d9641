"""Losses that match the distribution of generated images to that of a teacher.

Both compare two denoisers on a generated image that noise was added to: f, the frozen
teacher, and g, a network that is trained on the generated images. Where f and g agree
for all images and noise levels, the two distributions are equal.
"""

import tensorflow as tf

# The smallest mean |x - f| that a weight divides by.
_SMALLEST = 1e-5


def sid_loss(
    images: tf.Tensor, real: tf.Tensor, fake: tf.Tensor, *, alpha: float = 1.0
) -> tf.Tensor:
    """w (f - g) ((f - x) - alpha (f - g)), score identity distillation.

    The loss of Zhou et al. (arXiv 2404.04057, alg. 1), with w = 1 / mean |x - f|. Its
    gradient flows through both denoisers into x.

    Args:
        images: x, generated images, float32 `[batch, height, width, channels]`.
        real: f, the teacher's estimates of x from x with noise, like x.
        fake: g, the estimates of the network that is trained on generated images.
        alpha: the weight of |f - g|^2, about 1.

    Returns:
        float32 `[batch]`, the mean over pixels and channels; it may be negative.

    Example:

    >>> from tf_student.diffusion import matching
    >>> x, f, g = (tf.fill([1, 8, 8, 1], v) for v in (0.0, 0.5, 0.25))
    >>> matching.sid_loss(x, f, g).numpy()
    array([0.125], dtype=float32)
    """
    apart = real - fake
    return _mean(_weight(images, real) * apart * ((real - images) - alpha * apart))


def dmd_loss(images: tf.Tensor, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """1/2 |x - stop_gradient(x + w (f - g))|^2, distribution matching distillation.

    The loss of Yin et al. (arXiv 2311.18828, eq. 7 and 8), with w = 1 / mean |x - f|.
    Its gradient in x is w (g - f); none flows through the denoisers.

    Args:
        images: x, generated images, float32 `[batch, height, width, channels]`.
        real: f, the teacher's estimates of x from x with noise, like x.
        fake: g, the estimates of the network that is trained on generated images.

    Returns:
        float32 `[batch]`, the mean over pixels and channels.

    Example:

    >>> from tf_student.diffusion import matching
    >>> x, f, g = (tf.fill([1, 8, 8, 1], v) for v in (0.0, 0.5, 0.25))
    >>> matching.dmd_loss(x, f, g).numpy()
    array([0.125], dtype=float32)
    """
    target = tf.stop_gradient(images + _weight(images, real) * (real - fake))
    return 0.5 * _mean(tf.square(images - target))


def score_gap(images: tf.Tensor, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """mean |f - g| / mean |x - f|: how far the two denoisers are apart, `[batch]`."""
    return _mean(_weight(images, real) * tf.abs(real - fake))


def _weight(images: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """w, a constant for each image, `[batch, 1, 1, 1]` (arXiv 2311.18828, eq. 8)."""
    size = tf.reduce_mean(tf.abs(images - real), axis=[1, 2, 3], keepdims=True)
    return 1.0 / tf.stop_gradient(tf.maximum(size, _SMALLEST))


def _mean(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(values, axis=[1, 2, 3])
