"""The layers of the UNet; each is built, and can be saved, on its own."""

import math
from typing import Any

import keras
import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops

_register = keras.saving.register_keras_serializable("tf_student")

# DDPM draws weights uniformly with variance 1 / fan_avg and starts the last layer of
# each residual branch at zero.
_FAN_AVG = "glorot_uniform"
# Below, making the kernel takes longer than it saves.
_TRANSPOSED_FROM = 8 * 8


def _conv(filters: int, size: int, dtype, *, zero: bool = False, **kwargs):
    return keras.layers.Conv2D(
        filters,
        size,
        padding=kwargs.pop("padding", "same"),
        kernel_initializer="zeros" if zero else _FAN_AVG,
        dtype=dtype,
        **kwargs,
    )


def _dense(units: int, dtype, **kwargs):
    kwargs.setdefault("kernel_initializer", _FAN_AVG)
    return keras.layers.Dense(units, dtype=dtype, **kwargs)


@_register
class TimestepEmbedding(keras.layers.Layer):
    """Sinusoids of the time step, then two dense layers (DDPM, app. B).

    Channel i of the first half is sin(t f_i), of the second cos(t f_i), with
    f_i = exp(-ln(10000) i / (width / 2 - 1)).

    Call with integer time steps `[batch]`; returns `[batch, 4 * width]`.
    """

    def __init__(self, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.width = width
        self.dense_0 = _dense(4 * width, self.dtype_policy, activation="silu")
        self.dense_1 = _dense(4 * width, self.dtype_policy)

    def build(self, input_shape):
        self.dense_0.build((None, self.width))
        self.dense_1.build((None, 4 * self.width))

    def call(self, t):
        half = self.width // 2
        index = tf.range(half, dtype=tf.float32)
        frequencies = tf.exp(index * (-math.log(10000.0) / max(half - 1, 1)))
        # Integers, because 999 is not a bfloat16 and Keras casts floats.
        angles = tf.cast(t, tf.float32)[:, None] * frequencies[None, :]
        sinusoids = tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)
        return self.dense_1(self.dense_0(sinusoids))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4 * self.width)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@_register
class GroupNormSiLU(keras.layers.Layer):
    """Group normalisation and SiLU as one op, of `x + bias`.

    Call with `x` `[batch, height, width, channels]` and, where wanted, a `bias`
    `[batch, channels]` that is added to every position first. Statistics and
    parameters are float32 whatever the compute type.
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

    def call(self, x, bias=None):
        return ops.group_norm_silu(
            x,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
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


@_register
class ResBlock(keras.layers.Layer):
    """x + conv(dropout(norm(conv(norm(x)) + dense(silu(temb))))) (DDPM, app. B).

    Call with `x` `[batch, height, width, channels]`, `temb` `[batch, features]` and,
    when training with dropout, an int32 `seed` `[2]`. A 1x1 convolution carries x over
    where the width changes.
    """

    def __init__(
        self,
        filters: int,
        groups: int = 32,
        epsilon: float = 1e-6,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.groups = filters, groups
        self.epsilon, self.dropout = epsilon, dropout
        policy = self.dtype_policy
        self.norm_0 = GroupNormSiLU(groups, epsilon, dtype=policy)
        self.conv_0 = _conv(filters, 3, policy)
        self.time = _dense(filters, policy)
        self.norm_1 = GroupNormSiLU(groups, epsilon, dtype=policy)
        self.conv_1 = _conv(filters, 3, policy, zero=True)
        self.shortcut = None

    # Keras finds these shapes by the names of `call`'s arguments.
    def build(self, x_shape, temb_shape):
        inner = (*x_shape[:-1], self.filters)
        self.norm_0.build(x_shape)
        self.conv_0.build(x_shape)
        self.time.build(temb_shape)
        self.norm_1.build(inner)
        self.conv_1.build(inner)
        if x_shape[-1] != self.filters:
            self.shortcut = _conv(self.filters, 1, self.dtype_policy)
            self.shortcut.build(x_shape)

    def call(self, x, temb, training=False, seed=None):
        h = self.conv_0(self.norm_0(x))
        h = self.norm_1(h, self.time(tf.nn.silu(temb)))
        if training and self.dropout:
            if seed is None:
                seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
            # Stateless, so that a resumed run draws the same mask. XLA draws another
            # one: it makes its own Philox key of the seed.
            h = tf.nn.experimental.stateless_dropout(h, self.dropout, seed)
        h = self.conv_1(h)
        return h + (x if self.shortcut is None else self.shortcut(x))

    def compute_output_shape(self, x_shape, temb_shape=None):
        return (*x_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "epsilon": self.epsilon,
            "dropout": self.dropout,
        }


@_register
class SelfAttention(keras.layers.Layer):
    """x + out(softmax(q k^T / sqrt(channels)) v) over all positions, one head.

    Call with `[batch, height, width, channels]`; the softmax is float32.
    """

    def __init__(self, groups: int = 32, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.norm = GroupNormSiLU(self.groups, self.epsilon, "none", dtype=policy)
        # One product for q, k and v; twice the variance, for the three of them make
        # the fan average 2 channels, and each is to be drawn as if alone.
        initializer = keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")
        self.qkv = _dense(3 * channels, policy, kernel_initializer=initializer)
        self.out = _dense(channels, policy, kernel_initializer="zeros")
        for layer in (self.norm, self.qkv, self.out):
            layer.build(input_shape)

    def call(self, x):
        _, height, width, channels = x.shape
        rows = tf.reshape(self.norm(x), [-1, height * width, channels])
        q, k, v = tf.split(self.qkv(rows), 3, axis=-1)
        logits = tf.matmul(q, k, transpose_b=True)
        weights = tf.nn.softmax(tf.cast(logits, tf.float32) * channels**-0.5)
        mixed = tf.matmul(tf.cast(weights, v.dtype), v)
        return x + tf.reshape(self.out(mixed), tf.shape(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "epsilon": self.epsilon,
        }


@_register
class Downsample(keras.layers.Layer):
    """A stride-2 3x3 convolution, padded on the bottom and the right alone.

    `[batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`.
    """

    def build(self, input_shape):
        self.conv = _conv(
            input_shape[-1], 3, self.dtype_policy, strides=2, padding="valid"
        )
        self.conv.build(input_shape)

    def call(self, x):
        return self.conv(tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height // 2, width // 2, channels)


@_register
class Upsample(keras.layers.Layer):
    """Nearest-neighbour doubling, then a 3x3 convolution.

    `[batch, height, width, channels]` to `[batch, 2 height, 2 width, channels]`. Both
    are one transposed convolution, whose kernel has the sums of those taps that meet
    the same pixel: 16 products for 36, and nothing large to keep for the gradient.
    """

    def build(self, input_shape):
        self.conv = _conv(input_shape[-1], 3, self.dtype_policy)
        self.conv.build(self.compute_output_shape(input_shape))

    def call(self, x):
        _, height, width, channels = x.shape
        if height * width < _TRANSPOSED_FROM:
            x = tf.reshape(x, [-1, height, 1, width, 1, channels])
            x = tf.tile(x, [1, 1, 2, 1, 2, 1])
            return self.conv(tf.reshape(x, [-1, 2 * height, 2 * width, channels]))
        # Transposed convolutions take the output's channels first.
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
