"""Conversions between what networks predict: noise, v or the image."""

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


def x_0_and_eps(
    x: tf.Tensor,
    output: tf.Tensor,
    *,
    alpha_bar: tf.Tensor | float,
    prediction: str = "epsilon",
    clipping: str = "none",
) -> tuple[tf.Tensor, tf.Tensor]:
    """The image and the noise that a network's output stands for.

    x = sqrt(a) x_0 + sqrt(1 - a) eps. A network may predict eps, x_0 or
    v = sqrt(a) eps - sqrt(1 - a) x_0 (Salimans & Ho, arXiv 2202.00512, app. D).

    Args:
        x: float32 `[batch, ...]`, the noised image.
        output: float32 like x, the network's output for it.
        alpha_bar: a, a scalar or broadcastable to x.
        prediction: `epsilon`, `v` or `x_0`, what the output is.
        clipping: `x_0` clips the image to [-1, 1]; `both` also computes the noise from
            the clipped image; `none` does neither.

    Returns:
        x_0 and eps, float32 like x.

    Example:

    >>> from tf_student.diffusion.predictions import x_0_and_eps
    >>> x, v = tf.constant([1.0]), tf.constant([0.5])
    >>> x_0, eps = x_0_and_eps(x, v, alpha_bar=0.64, prediction="v")
    >>> x_0.numpy().round(3), eps.numpy().round(3)
    (array([0.5], dtype=float32), array([1.], dtype=float32))
    """
    signal, sigma = tf.sqrt(alpha_bar), tf.sqrt(1.0 - alpha_bar)
    if prediction == "epsilon":
        x_0, eps = x_0_from_eps(x, output, alpha_bar=alpha_bar), output
    elif prediction == "v":
        x_0, eps = signal * x - sigma * output, sigma * x + signal * output
    else:
        x_0, eps = output, (x - signal * output) / sigma
    if clipping != "none":
        x_0 = tf.clip_by_value(x_0, -1.0, 1.0)
    if clipping == "both":
        eps = (x - signal * x_0) / sigma
    return x_0, eps


def target(
    images: tf.Tensor, eps: tf.Tensor, *, alpha_bar: tf.Tensor, prediction: str
) -> tf.Tensor:
    """What a network should predict for images with noise eps; see `x_0_and_eps`."""
    if prediction == "epsilon":
        return eps
    if prediction == "x_0":
        return images
    return tf.sqrt(alpha_bar) * eps - tf.sqrt(1.0 - alpha_bar) * images
