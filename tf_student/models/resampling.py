"""Blocks of the UNet that change the resolution."""

from typing import Any

import keras
import tensorflow as tf

from tf_student.models.layers import conv, register

# Smaller images do not save the time that computing the transposed kernel takes.
_TRANSPOSED_FROM = 8 * 8


def halved(x: tf.Tensor) -> tf.Tensor:
    """The means of squares of 2x2 pixels."""
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def doubled(x: tf.Tensor) -> tf.Tensor:
    """Each pixel as a square of 2x2 pixels."""
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height, 1, width, 1, channels])
    x = tf.tile(x, [1, 1, 2, 1, 2, 1])
    return tf.reshape(x, [-1, 2 * height, 2 * width, channels])


@register
class Downsample(keras.layers.Layer):
    """A stride-2 3x3 convolution.

    Call with `[batch, height, width, channels]`; returns
    `[batch, height / 2, width / 2, channels]`.

    Args:
        symmetric: whether to pad all four sides, which for even sizes is the top and
            the left; otherwise the bottom and the right (DDPM).
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, symmetric: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.symmetric = symmetric

    resample = "down"

    def build(self, input_shape):
        self.conv = conv(
            input_shape[-1],
            3,
            self.dtype_policy,
            strides=2,
            padding="valid",
            name="conv",
        )
        self.conv.build(input_shape)

    def call(self, x):
        side = [1, 0] if self.symmetric else [0, 1]
        return self.conv(tf.pad(x, [[0, 0], side, side, [0, 0]]))

    def get_config(self):
        return {**super().get_config(), "symmetric": self.symmetric}

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)


@register
class Upsample(keras.layers.Layer):
    """Nearest-neighbour doubling, then a 3x3 convolution.

    Call with `[batch, height, width, channels]`; returns
    `[batch, 2 height, 2 width, channels]`. For larger images, both are one transposed
    convolution. Its kernel has the sums of the taps that fall on the same pixel: 16
    products instead of 36, and the doubled image is not stored for the gradient.
    """

    resample = "up"

    def build(self, input_shape):
        self.conv = conv(input_shape[-1], 3, self.dtype_policy, name="conv")
        self.conv.build(self.compute_output_shape(input_shape))

    def call(self, x):
        _, height, width, channels = x.shape
        if height * width < _TRANSPOSED_FROM:
            return self.conv(doubled(x))
        # The kernel of a transposed convolution has the output channels first.
        kernel = tf.transpose(tf.convert_to_tensor(self.conv.kernel), [0, 1, 3, 2])
        for axis in (0, 1):
            before, at, after = tf.split(kernel, 3, axis)
            kernel = tf.concat([after, at + after, before + at, before], axis)
        shape = [tf.shape(x)[0], 2 * height, 2 * width, channels]
        y = tf.nn.conv2d_transpose(x, kernel, shape, strides=2)
        return tf.nn.bias_add(y, tf.convert_to_tensor(self.conv.bias))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, 2 * height, 2 * width, channels)
