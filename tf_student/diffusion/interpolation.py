"""Interpolation between samples of noise."""

import tensorflow as tf


def slerp(z_0: tf.Tensor, z_1: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Spherical linear interpolation (Shoemake 1985), which keeps the norm of noise.

    slerp(w) = sin((1 - w) u) / sin(u) z_0 + sin(w u) / sin(u) z_1, where u is the angle
    between z_0 and z_1.

    Args:
        z_0: float32, of any shape.
        z_1: float32, of the same shape.
        weights: w, float32 `[n]`: 0 gives z_0, and 1 gives z_1.

    Returns:
        float32 `[n, *z_0.shape]`.

    Example:

    >>> from tf_student.diffusion.interpolation import slerp
    >>> path = slerp(tf.constant([1.0, 0.0]), tf.constant([0.0, 1.0]), [0.0, 0.5, 1.0])
    >>> np.allclose(path, [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-6)
    True
    """
    cosine = tf.reduce_sum(z_0 * z_1) / (tf.norm(z_0) * tf.norm(z_1))
    # Parallel vectors would divide by zero.
    angle = tf.acos(tf.clip_by_value(cosine, -1.0 + 1e-6, 1.0 - 1e-6))
    weights = tf.reshape(weights, [-1] + [1] * z_0.shape.rank)
    from_0 = tf.sin((1.0 - weights) * angle) / tf.sin(angle)
    from_1 = tf.sin(weights * angle) / tf.sin(angle)
    return from_0 * z_0 + from_1 * z_1
