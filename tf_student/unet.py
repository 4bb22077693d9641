"""The noise-predicting UNet of DDPM (arXiv 2006.11239, app. B)."""

import functools
import itertools
from typing import Any

import keras
import tensorflow as tf

from tf_student import architecture
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
        recompute: whether training keeps the inputs of blocks alone and computes what
            is inside them again for the gradients: less memory, a third more time. It
            is not saved.
    """

    def __init__(self, config: UNetConfig, *, recompute: bool = False, **kwargs: Any):
        # Each layer casts for itself, so that a float32 x reaches the caller's
        # arithmetic unrounded.
        super().__init__(autocast=False, **kwargs)
        self.config, self.recompute = config, recompute
        policy, size = self.dtype_policy, config.image_size
        self.embedding = TimestepEmbedding(config.base_width, dtype=policy)
        self.embedding.build((None,))
        self.stem = keras.layers.Conv2D(
            config.base_width, 3, padding="same", dtype=policy
        )
        self.stem.build((None, size, size, config.channels))
        # TensorFlow follows a list within a list only where it was appended whole.
        self.down, self.up = [], []
        for place, blocks in itertools.groupby(architecture.blocks(config), _place):
            layers = [self._make(block) for block in blocks]
            if place == "middle":
                self.middle = layers
            else:
                side = self.down if place.startswith("down") else self.up
                side.append(layers)
        top = (None, size, size, config.widths[0])
        self.norm = GroupNormSiLU(config.groups, config.norm_epsilon, dtype=policy)
        self.norm.build(top)
        self.head = keras.layers.Conv2D(
            config.channels,
            3,
            padding="same",
            kernel_initializer="zeros",
            dtype=policy,
        )
        self.head.build(top)
        self.built = True

    def _make(self, block: architecture.Block) -> keras.layers.Layer:
        """The layer of a block, built."""
        config, policy = self.config, self.dtype_policy
        norm = (config.groups, config.norm_epsilon)
        shape = (None, block.size, block.size, block.inputs)
        if block.kind == "residual":
            layer = ResBlock(block.outputs, *norm, config.dropout, dtype=policy)
            layer.build(shape, (None, 4 * config.base_width))
            return layer
        if block.kind == "attention":
            layer = SelfAttention(*norm, dtype=policy)
        else:
            kinds = {"downsample": Downsample, "upsample": Upsample}
            layer = kinds[block.kind](dtype=policy)
        layer.build(shape)
        return layer

    def call(self, x, t, training=False, seed=None):
        temb = self.embedding(t)
        block = 0

        def run(layers, x):
            nonlocal block
            for layer in layers:
                options, inputs = {}, (x,)
                if isinstance(layer, ResBlock):
                    block += 1
                    own = None if seed is None else _fold_in(seed, block)
                    options, inputs = dict(training=training, seed=own), (x, temb)
                call = functools.partial(layer, **options)
                if training and self.recompute:
                    call = tf.recompute_grad(call)
                x = call(*inputs)
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


def _place(block: architecture.Block) -> str:
    """`down.3` of `down.3.0`: what holds a block and the attention after it."""
    return block.path.rpartition(".")[0]


def _fold_in(seed, block):
    return tf.random.experimental.stateless_fold_in(seed, block)
