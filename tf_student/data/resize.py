"""Resizes real images to the size of a network's images."""

import tensorflow as tf

from tf_student.data.image_set import Shape
from tf_student.runtime.errors import InputError


def fit(image: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Resizes the shorter side of an image and crops the centre.

    The interpolation is bilinear and antialiased; the values are rounded. An image that
    has the size already is returned unchanged.

    Args:
        image: uint8 `[height, width, channels]`, of any height and width.
        shape: `(size, size, channels)`.

    Returns:
        uint8 `[size, size, channels]`.
    """
    size = shape[0]
    own = tf.shape(image)[:2]

    def resized() -> tf.Tensor:
        scale = size / tf.reduce_min(own)
        target = tf.cast(tf.round(tf.cast(own, tf.float64) * scale), tf.int32)
        large = tf.image.resize(image, tf.maximum(target, size), antialias=True)
        large = tf.cast(tf.round(tf.clip_by_value(large, 0.0, 255.0)), tf.uint8)
        return tf.image.resize_with_crop_or_pad(large, size, size)

    image = tf.cond(tf.reduce_all(own == size), lambda: image, resized)
    return tf.ensure_shape(image, shape)


def describe(
    shape: Shape,
    own: tuple[int | None, ...] | None = None,
    crop: tuple[int, int, int, int] | None = None,
) -> str:
    """Describes for reports how `fit` prepares images.

    Args:
        shape: the shape of the prepared images.
        own: the shape of the images before, if it is known.
        crop: `(top, left, height, width)` of a crop before the resizing, if any.
    """
    if own == shape:
        return "as they are"
    cut = ""
    if crop:
        top, left, height, width = crop
        cut = f"crop {height}x{width} at row {top}, column {left}; "
    return (
        f"{cut}shorter side resized to {shape[0]} where it differs (bilinear, "
        "antialiased), centre crop"
    )


def check_channels(channels: int, name: str, shape: Shape) -> None:
    """Checks that images have the channels of the images that a network expects.

    Args:
        channels: of the images.
        name: of the images.
        shape: of the images that are expected.

    Raises:
        InputError: if the channels differ.
    """
    if channels != shape[-1]:
        raise InputError(
            f"`channels` must be the channels of {name}, {channels}. "
            f"Received: channels={shape[-1]}."
        )
