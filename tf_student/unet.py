"""The noise-predicting UNet of DDPM (arXiv 2006.11239, app. B)."""

from typing import Any

import keras
import tensorflow as tf

from tf_student.config import UNetConfig
from tf_student.layers import (
    Downsample,
    GroupNormSiLU,
    ResBlock,
    SelfAttention,
    TimestepEmbedding,
    Upsample,
)
from tf_student.options import from_dict, to_dict


@keras.saving.register_keras_serializable("tf_student")
class UNet(keras.Model):
    """eps(x, t): the noise in x at time step t.

    Call with float `x` `[batch, size, size, channels]` and integer `t` `[batch]`;
    returns float32 like x. When training with dropout, an int32 `seed` `[2]` makes the
    masks a function of the seed alone.

    The weights exist once the object does: the config knows every shape.

    Args:
        config: the architecture.
    """

    def __init__(self, config: UNetConfig, **kwargs: Any):
        # Each layer casts for itself, so that a float32 x reaches the caller's
        # arithmetic unrounded.
        super().__init__(autocast=False, **kwargs)
        self.config = config
        policy = self.dtype_policy
        size, width = config.image_size, config.base_width

        def built(layer, channels, *extra):
            layer.build((None, size, size, channels), *extra)
            return layer

        def stage(channels, filters, attends):
            """A residual block and, where the resolution asks for it, attention."""
            block = ResBlock(
                filters,
                config.groups,
                config.norm_epsilon,
                config.dropout,
                dtype=policy,
            )
            layers = [built(block, channels, (None, 4 * width))]
            if attends:
                attention = SelfAttention(
                    config.groups, config.norm_epsilon, dtype=policy
                )
                layers.append(built(attention, filters))
            return layers

        self.embedding = TimestepEmbedding(width, dtype=policy)
        self.embedding.build((None,))
        self.stem = keras.layers.Conv2D(width, 3, padding="same", dtype=policy)
        built(self.stem, config.channels)

        self.down, channels, skips = [], width, [width]
        for level, filters in enumerate(config.widths):
            for _ in range(config.blocks_per_level):
                attends = size in config.attention_resolutions
                self.down.append(stage(channels, filters, attends))
                channels = filters
                skips.append(channels)
            if level + 1 < len(config.widths):
                self.down.append([built(Downsample(dtype=policy), channels)])
                size //= 2
                skips.append(channels)

        self.middle = stage(channels, channels, True) + stage(channels, channels, False)

        self.up = []
        for level, filters in reversed(list(enumerate(config.widths))):
            for _ in range(config.blocks_per_level + 1):
                attends = size in config.attention_resolutions
                self.up.append(stage(channels + skips.pop(), filters, attends))
                channels = filters
            if level:
                self.up.append([built(Upsample(dtype=policy), channels)])
                size *= 2
        assert not skips

        self.norm = built(
            GroupNormSiLU(config.groups, config.norm_epsilon, dtype=policy), channels
        )
        self.head = keras.layers.Conv2D(
            config.channels,
            3,
            padding="same",
            kernel_initializer="zeros",
            dtype=policy,
        )
        built(self.head, channels)
        self.built = True

    def call(self, x, t, training=False, seed=None):
        temb = self.embedding(t)
        block = 0

        def run(layers, x):
            nonlocal block
            for layer in layers:
                if isinstance(layer, ResBlock):
                    block += 1
                    own = None if seed is None else _fold_in(seed, block)
                    x = layer(x, temb, training=training, seed=own)
                else:
                    x = layer(x)
            return x

        x = self.stem(x)
        skips = [x]
        for layers in self.down:
            x = run(layers, x)
            skips.append(x)
        x = run(self.middle, x)
        for layers in self.up:
            if isinstance(layers[0], ResBlock):
                x = tf.concat([x, skips.pop()], axis=-1)
            x = run(layers, x)
        assert not skips
        return tf.cast(self.head(self.norm(x)), tf.float32)

    def compute_output_shape(self, x_shape, t_shape=None):
        return x_shape

    def get_config(self):
        config = super().get_config()
        return {**config, "config": to_dict(self.config)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(from_dict(UNetConfig, config.pop("config")), **config)


def _fold_in(seed, block):
    return tf.random.experimental.stateless_fold_in(seed, block)
