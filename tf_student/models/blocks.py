"""Residual blocks and attention."""

import functools
from typing import Any

import keras
import tensorflow as tf

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.layers import GroupNormSiLU, built, conv, dense, register
from tf_student.models.resampling import Downsample, Upsample, doubled, halved

_RESAMPLE = {"down": halved, "up": doubled}


@register
class ResBlock(keras.layers.Layer):
    """x + conv(dropout(norm(conv(norm(x)) + dense(temb)))) (DDPM, app. B).

    Call with `x` `[batch, height, width, channels]`; `temb` `[batch, features]`, the
    time embedding after SiLU, which is the same for all blocks; and, when training with
    dropout, an int32 `seed` `[2]`. Returns `[batch, height, width, filters]`. If
    `filters` differs from the channels of x, the shortcut is a 1x1 convolution.

    With `resample`, x and the input of the first convolution are halved by averaging or
    doubled by repetition (BigGAN's blocks, arXiv 2105.05233, sec. 3).

    Args:
        filters: output channels.
        groups: of each group normalization.
        epsilon: of each group normalization.
        dropout: rate before the last convolution.
        scale_shift: whether temb scales and shifts the second normalization, in place
            of a sum before it.
        resample: `down`, `up`, or empty to keep the resolution.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        filters: int,
        groups: int = 32,
        epsilon: float = 1e-6,
        dropout: float = 0.0,
        scale_shift: bool = False,
        resample: str = "",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.groups = filters, groups
        self.epsilon, self.dropout = epsilon, dropout
        self.scale_shift, self.resample = scale_shift, resample
        policy = self.dtype_policy
        norm = functools.partial(GroupNormSiLU, groups, epsilon, dtype=policy)
        self.norm_0 = norm(name="norm_0")
        self.conv_0 = conv(filters, 3, policy, name="conv_0")
        self.time = dense(filters * (2 if scale_shift else 1), policy, name="time")
        self.norm_1 = norm(name="norm_1")
        self.conv_1 = conv(filters, 3, policy, zero=True, name="conv_1")
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
            shortcut = conv(self.filters, 1, self.dtype_policy, name="shortcut")
            self.shortcut = built(shortcut, x_shape)

    def call(self, x, temb, training=False, seed=None):
        h = self.norm_0(x)
        if self.resample:
            h, x = (_RESAMPLE[self.resample](values) for values in (h, x))
        h = self.conv_0(h)
        time = self.time(temb)
        if self.scale_shift:
            h = self.norm_1(h, scale_shift=time)
        else:
            h = self.norm_1(h, time)
        if training and self.dropout:
            if seed is None:
                seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
            # Stateless, so that a resumed run draws the same mask. XLA derives its
            # Philox key from the seed in another way and draws another mask.
            h = tf.nn.experimental.stateless_dropout(h, self.dropout, seed)
        h = self.conv_1(h)
        return h + (x if self.shortcut is None else self.shortcut(x))

    def compute_output_shape(self, x_shape, temb_shape=None):
        batch, height, width, _ = x_shape
        if self.resample == "down":
            height, width = height // 2, width // 2
        elif self.resample == "up":
            height, width = 2 * height, 2 * width
        return (batch, height, width, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "groups": self.groups,
            "epsilon": self.epsilon,
            "dropout": self.dropout,
            "scale_shift": self.scale_shift,
            "resample": self.resample,
        }


@register
class SelfAttention(keras.layers.Layer):
    """x + out(softmax(q k^T / sqrt(d)) v) over all positions.

    Call with `[batch, height, width, channels]`; returns the same shape. d is the
    number of channels of a head. The softmax is computed in float32.

    Args:
        groups: of the group normalization before q, k and v.
        epsilon: of the group normalization.
        heads: number of heads, each of which attends with its own part of the channels.
        normalized: whether there is a group normalization.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        groups: int = 32,
        epsilon: float = 1e-6,
        heads: int = 1,
        normalized: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.groups, self.epsilon = groups, epsilon
        self.heads, self.normalized = heads, normalized

    def build(self, input_shape):
        channels, policy = input_shape[-1], self.dtype_policy
        self.norm = None
        if self.normalized:
            self.norm = GroupNormSiLU(
                self.groups, self.epsilon, "none", dtype=policy, name="norm"
            )
            self.norm.build(input_shape)
        # One product computes q, k and v. Their joint kernel has a fan average of 2
        # channels; a scale of 2 gives each of them the variance of its own kernel.
        initializer = keras.initializers.VarianceScaling(2.0, "fan_avg", "uniform")
        self.qkv = dense(
            3 * channels, policy, kernel_initializer=initializer, name="qkv"
        )
        self.out = dense(channels, policy, kernel_initializer="zeros", name="out")
        for layer in (self.qkv, self.out):
            layer.build(input_shape)

    def call(self, x):
        _, height, width, channels = x.shape
        normed = x if self.norm is None else self.norm(x)
        rows = tf.reshape(normed, [-1, height * width, channels])
        q, k, v = (self._by_head(t) for t in tf.split(self.qkv(rows), 3, axis=-1))
        logits = tf.matmul(q, k, transpose_b=True)
        size = channels // self.heads
        weights = tf.nn.softmax(tf.cast(logits, tf.float32) * size**-0.5)
        mixed = tf.matmul(tf.cast(weights, v.dtype), v)
        if self.heads > 1:
            mixed = tf.transpose(mixed, [0, 2, 1, 3])
            mixed = tf.reshape(mixed, [-1, height * width, channels])
        return x + tf.reshape(self.out(mixed), tf.shape(x))

    def _by_head(self, rows):
        """`[batch, positions, channels]` as `[batch, heads, positions, d]`."""
        if self.heads == 1:
            return rows
        _, positions, channels = rows.shape
        split = [-1, positions, self.heads, channels // self.heads]
        return tf.transpose(tf.reshape(rows, split), [0, 2, 1, 3])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "epsilon": self.epsilon,
            "heads": self.heads,
            "normalized": self.normalized,
        }


def make_block(
    block: plan.Block, config: UNetConfig, policy: Any
) -> keras.layers.Layer:
    """The built layer of a block of the plan, with the block's path as its name."""
    norm = (config.groups, config.norm_epsilon)
    named = {"dtype": policy, "name": block.path}
    shape = (None, block.size, block.size, block.inputs)
    if block.is_residual:
        residual = ResBlock(
            block.outputs,
            *norm,
            config.dropout,
            config.scale_shift,
            block.resamples,
            **named,
        )
        return built(residual, shape, (None, 4 * config.base_width))
    layer: keras.layers.Layer
    if block.kind == "attention":
        layer = SelfAttention(*norm, block.heads, block.normalized, **named)
    elif block.kind == "downsample":
        layer = Downsample(config.symmetric_padding, **named)
    else:
        layer = Upsample(**named)
    return built(layer, shape)
