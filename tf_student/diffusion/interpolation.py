"""Interpolation between noises."""

import tensorflow as tf


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
