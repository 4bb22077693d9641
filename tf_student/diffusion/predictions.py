"""Conversions between the network's prediction and the image."""

import tensorflow as tf


def x_0_from_eps(
    x: tf.Tensor, eps: tf.Tensor, *, alpha_bar: tf.Tensor | float
) -> tf.Tensor:
    """x_0 = (x - sqrt(1 - a) eps) / sqrt(a) (DDIM, arXiv 2010.02502, eq. 9).

    Args:
        x: float32 `[batch, ...]`, the noised image.
        eps: float32 like x, the predicted noise in it.
        alpha_bar: a, the cumulative product of 1 - beta at the time step of x; a scalar
            or broadcastable to x.

    Returns:
        float32 like x, the predicted image.

    Example:

    >>> from tf_student.diffusion.predictions import x_0_from_eps
    >>> x_0 = x_0_from_eps(tf.constant([1.0]), tf.constant([1.0]), alpha_bar=0.64)
    >>> x_0.numpy().round(4)
    array([0.5], dtype=float32)
    """
    return (x - tf.sqrt(1.0 - alpha_bar) * eps) / tf.sqrt(alpha_bar)
