"""Blocks of the UNet that preserve the resolution."""

from typing import Any

import keras
import tensorflow as tf

from tf_student.models.layers import GroupNormSiLU, conv, dense, register


@register
class ResBlock(keras.layers.Layer):
    """x + conv(dropout(norm(conv(norm(x)) + dense(silu(temb))))) (DDPM, app. B).

    Call with `x` `[batch, height, width, channels]`, `temb` `[batch, features]` and,
    when training with dropout, an int32 `seed` `[2]`; returns
    `[batch, height, width, filters]`. If `filters` differs from the channels of x, the
    shortcut is a 1x1 convolution.

    Args:
        filters: output channels.
        groups: of each group normalization.
        epsilon: of each group normalization.
        dropout: rate before the last convolution.
        **kwargs: of `keras.layers.Layer`.
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
        self.conv_0 = conv(filters, 3, policy)
        self.time = dense(filters, policy)
        self.norm_1 = GroupNormSiLU(groups, epsilon, dtype=policy)
        self.conv_1 = conv(filters, 3, policy, zero=True)
        self.shortcut = None

    # Keras matches these shapes to the arguments of `call` by their names.
    def build(self, x_shape, temb_shape):
        inner = (*x_shape[:-1], self.filters)
        self.norm_0.build(x_shape)
        self.conv_0.build(x_shape)
        self.time.build(temb_shape)
        self.norm_1.build(inner)
        self.conv_1.build(inner)
        if x_shape[-1] != self.filters:
            self.shortcut = conv(self.filters, 1, self.dtype_policy)
            self.shortcut.build(x_shape)

    def call(self, x, temb, training=False, seed=None):
        h = self.conv_0(self.norm_0(x))
        h = self.norm_1(h, self.time(tf.nn.silu(temb)))
        if training and self.dropout:
            if seed is None:
                seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
            # Stateless, so that a resumed run draws the same mask. XLA derives its
            # Philox key from the seed in another way and draws another mask.
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


@register
class SelfAttention(keras.layers.Layer):
    """x + out(softmax(q k^T / sqrt(channels)) v) over all positions, with one head.

    Call with `[batch, height, width, channels]`; returns the same shape. The softmax is
    computed in float32.

    Args:
        groups: of the group normalization before q, k and v.
        epsilon: of the group normalization.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, groups: int = 32, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.norm = GroupNormSiLU(self.groups, self.epsilon, "none", dtype=policy)
        # One product computes q, k and v. Their joint kernel has a fan average of 2
        # channels; a scale of 2 gives each of them the variance of its own kernel.
        initializer = keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")
        self.qkv = dense(3 * channels, policy, kernel_initializer=initializer)
        self.out = dense(channels, policy, kernel_initializer="zeros")
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
