"""Conversions between uint8 images and floats in [-1, 1]."""

import tensorflow as tf


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Converts uint8 in [0, 255] to float32 in [-1, 1].

    Example:

    >>> from tf_student.data import images
    >>> images.to_float(np.array([0, 255], np.uint8)).numpy()
    array([-1.,  1.], dtype=float32)
    """
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Converts floats in [-1, 1] to uint8 in [0, 255], clipped and rounded.

    Example:

    >>> from tf_student.data import images
    >>> images.to_uint8(tf.constant([-2.0, 0.0, 1.0])).numpy()
    array([  0, 128, 255], dtype=uint8)
    """
    scaled = (tf.cast(images, tf.float32) + 1.0) * 127.5
    return tf.cast(tf.round(tf.clip_by_value(scaled, 0.0, 255.0)), tf.uint8)
