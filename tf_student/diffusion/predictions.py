"""What a network predicts, and the image that follows from it."""

import tensorflow as tf


def x_0_from_eps(
    x: tf.Tensor, eps: tf.Tensor, *, alpha_bar: tf.Tensor | float
) -> tf.Tensor:
    """x_0 = (x - sqrt(1 - a) eps) / sqrt(a) (DDIM, arXiv 2010.02502, eq. 9).

    Args:
        x: float32 `[batch, ...]`, noised with `alpha_bar`.
        eps: the noise in it, same shape.
        alpha_bar: a, scalar or broadcastable to x.

    Returns:
        float32 like x: the predicted image.
    """
    return (x - tf.sqrt(1.0 - alpha_bar) * eps) / tf.sqrt(alpha_bar)
