"""Layers of the UNet: convolution, time embedding and normalization."""

import math
from typing import Any

import keras
import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops

register = keras.saving.register_keras_serializable("tf_student")

# DDPM's initial weights are uniform with variance 1 / fan_avg, and zero in the last
# layer of each residual branch.
_FAN_AVG = "glorot_uniform"


@register
class Conv2D(keras.layers.Conv2D):
    """Keras' layer, with a bias and no activation, without its reshapes of the bias.

    With their gradients they would be a tenth of a training step's operations, each of
    which takes about a millisecond when a command starts.
    """

    def call(self, inputs):
        y = tf.nn.conv2d(inputs, self.kernel, self.strides, self.padding.upper())
        return tf.nn.bias_add(y, self.bias)


def conv(
    filters: int, size: int, dtype: Any, *, zero: bool = False, **kwargs: Any
) -> Conv2D:
    """A convolution with DDPM's initial weights.

    Args:
        filters: output channels.
        size: height and width of the kernel.
        dtype: the dtype policy.
        zero: whether the initial weights are zeros.
        **kwargs: other arguments of `keras.layers.Conv2D`.
    """
    return Conv2D(
        filters,
        size,
        padding=kwargs.pop("padding", "same"),
        kernel_initializer="zeros" if zero else _FAN_AVG,
        dtype=dtype,
        **kwargs,
    )


def dense(units: int, dtype: Any, **kwargs: Any) -> keras.layers.Dense:
    """A dense layer with DDPM's initial weights."""
    kwargs.setdefault("kernel_initializer", _FAN_AVG)
    return keras.layers.Dense(units, dtype=dtype, **kwargs)


def built(layer: keras.layers.Layer, *shapes: tuple[int | None, ...]) -> Any:
    """Creates the layer's variables for these shapes of inputs; returns the layer."""
    layer.build(*shapes)
    return layer


@register
class TimestepEmbedding(keras.layers.Layer):
    """Sinusoids of the time step, then two dense layers (DDPM, app. B).

    Channel i of the first half is sin(t f_i), and of the second half cos(t f_i), with
    f_i = exp(-ln(10000) i / (width / 2 - frequency_shift)).

    Call with integer time steps `[batch]`; returns `[batch, 4 * width]`.

    Args:
        width: number of sinusoids, which must be even.
        cosine_first: whether the first half has the cosines.
        frequency_shift: 1 in DDPM, 0 in improved-diffusion and diffusers.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        width: int,
        cosine_first: bool = False,
        frequency_shift: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width, self.cosine_first = width, cosine_first
        self.frequency_shift = frequency_shift
        policy = self.dtype_policy
        self.dense_0 = dense(4 * width, policy, activation="silu", name="dense_0")
        self.dense_1 = dense(4 * width, policy, name="dense_1")

    def build(self, input_shape):
        self.dense_0.build((None, self.width))
        self.dense_1.build((None, 4 * self.width))

    def call(self, t):
        half = self.width // 2
        index = tf.range(half, dtype=tf.float32)
        last = max(half - self.frequency_shift, 1)
        frequencies = tf.exp(index * (-math.log(10000.0) / last))
        # The steps are integers, because Keras casts floats to the compute type, and
        # bfloat16 cannot represent 999.
        angles = tf.cast(t, tf.float32)[:, None] * frequencies[None, :]
        halves = [tf.sin(angles), tf.cos(angles)]
        if self.cosine_first:
            halves.reverse()
        return self.dense_1(self.dense_0(tf.concat(halves, axis=-1)))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4 * self.width)

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "cosine_first": self.cosine_first,
            "frequency_shift": self.frequency_shift,
        }


@register
class GroupNormSiLU(keras.layers.Layer):
    """Group normalization and SiLU of `x + bias`, as one op.

    Call with `x` `[batch, height, width, channels]` and, optionally, a `bias`
    `[batch, channels]`, which is added to every position first, or `scale_shift`
    `[batch, 2 * channels]`: s and t of act(norm(x) (1 + s) + t), which is the adaptive
    normalization of guided-diffusion (arXiv 2105.05233, eq. 9). Returns the shape and
    dtype of x. Statistics and parameters are float32 for every compute type.

    Args:
        groups: number of groups, which must divide the channels.
        epsilon: added to the variance.
        activation: `silu` or `none`.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        ValueError: if `groups` does not divide the channels.
    """

    def __init__(
        self,
        groups: int = 32,
        epsilon: float = 1e-6,
        activation: str = "silu",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.groups, self.epsilon, self.activation = groups, epsilon, activation

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(
                "`groups` must divide the channels. "
                f"Received: groups={self.groups}, channels={channels}."
            )
        self.gamma = self._parameter("gamma", "ones", channels)
        self.beta = self._parameter("beta", "zeros", channels)

    def _parameter(self, name, initializer, channels):
        return self.add_weight(
            name=name,
            shape=(channels,),
            initializer=initializer,
            dtype="float32",
            autocast=False,
        )

    def call(self, x, bias=None, scale_shift=None):
        gamma = tf.convert_to_tensor(self.gamma)
        beta = tf.convert_to_tensor(self.beta)
        if scale_shift is not None:
            # Each image has a gamma and a beta of its own.
            scale, shift = tf.split(tf.cast(scale_shift, tf.float32), 2, axis=-1)
            gamma, beta = gamma * (1.0 + scale), beta * (1.0 + scale) + shift
        return ops.group_norm_silu(
            x,
            gamma,
            beta,
            bias,
            groups=self.groups,
            epsilon=self.epsilon,
            activation=self.activation,
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "epsilon": self.epsilon,
            "activation": self.activation,
        }
