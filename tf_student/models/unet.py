"""The noise-predicting UNet of DDPM (arXiv 2006.11239, app. B)."""

import functools
import hashlib
import itertools
import json
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.blocks import ResBlock, SelfAttention
from tf_student.models.layers import GroupNormSiLU, TimestepEmbedding
from tf_student.models.resampling import Downsample, Upsample
from tf_student.runtime.options import from_dict, to_dict


@keras.saving.register_keras_serializable("tf_student")
class UNet(keras.Model):
    """eps(x, t): the noise in x at time step t.

    Call with float `x` `[batch, size, size, channels]` and integer `t` `[batch]`;
    returns float32 like x. When training with dropout, an int32 `seed` `[2]` makes the
    masks a function of the seed.

    The weights are created with the object, because the config has every shape.

    Args:
        config: the architecture; with it, no other option of the architecture.
        image_size, channels, base_width, width_multipliers, blocks_per_level,
            attention_resolutions, groups, norm_epsilon, dropout: the architecture, in
            place of `config`; see `UNetConfig`.
        recompute: gradient checkpointing: whether training stores only the input of
            each block and recomputes the rest for the gradients. It is not saved.
        **kwargs: of `keras.Model`: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: if the options contradict each other, or come beside a config.

    Example:

    >>> unet = UNet(image_size=8, channels=1, base_width=32, groups=8,
    ...             width_multipliers=(1, 2), attention_resolutions=(4,))
    >>> unet(tf.zeros([2, 8, 8, 1]), tf.constant([0, 999])).shape
    TensorShape([2, 8, 8, 1])
    """

    def __init__(
        self,
        config: UNetConfig | None = None,
        *,
        image_size: int = UNetConfig.image_size,
        channels: int = UNetConfig.channels,
        base_width: int = UNetConfig.base_width,
        width_multipliers: Sequence[int] = UNetConfig.width_multipliers,
        blocks_per_level: int = UNetConfig.blocks_per_level,
        attention_resolutions: Sequence[int] = UNetConfig.attention_resolutions,
        groups: int = UNetConfig.groups,
        norm_epsilon: float = UNetConfig.norm_epsilon,
        dropout: float = UNetConfig.dropout,
        recompute: bool = False,
        **kwargs: Any,
    ):
        options = UNetConfig(
            image_size,
            channels,
            base_width,
            tuple(width_multipliers),
            blocks_per_level,
            tuple(attention_resolutions),
            groups,
            norm_epsilon,
            dropout,
        )
        if config is not None and options != UNetConfig():
            raise ValueError(
                "`config` must be given without options of the architecture. "
                f"Received: config={config}, and {options}."
            )
        # Each layer casts its own inputs, so that a float32 x reaches the caller's
        # arithmetic without rounding.
        super().__init__(autocast=False, **kwargs)
        self.config, self.recompute = config or options, recompute
        self._make_layers()
        self.built = True

    def _make_layers(self) -> None:
        config, policy, size = self.config, self.dtype_policy, self.config.image_size
        self.embedding = TimestepEmbedding(config.base_width, dtype=policy)
        self.embedding.build((None,))
        self.stem = keras.layers.Conv2D(
            config.base_width, 3, padding="same", dtype=policy
        )
        self.stem.build((None, size, size, config.channels))
        # TensorFlow tracks a list within a list only if it is appended whole.
        self.down, self.middle, self.up = [], [], []
        for (side, _), blocks in itertools.groupby(plan.blocks(config), _stage):
            layers = [self._make(block) for block in blocks]
            if side == "middle":
                self.middle = layers
            else:
                (self.down if side == "down" else self.up).append(layers)
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

    def _make(self, block: plan.Block) -> keras.layers.Layer:
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

    def fingerprint(self) -> str:
        """SHA-256 of architecture and weights: equal for equal networks anywhere."""
        text = json.dumps(to_dict(self.config), sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for weight in self.weights:
            digest.update(weight.numpy().tobytes())
        return digest.hexdigest()

    def copy(self, *, dtype: Any = None, recompute: bool = False) -> "UNet":
        """A network with the same weights, perhaps under another dtype policy.

        It is created on the devices of the current `tf.distribute` scope.
        """
        twin = UNet(
            self.config, recompute=recompute, dtype=dtype or self.dtype_policy.name
        )
        twin.set_weights(self.get_weights())
        return twin

    def named_variables(self) -> dict[str, keras.Variable]:
        """All variables by their path in `tf_student.architecture.plan`."""
        stages = [*self.down, self.middle, *self.up]
        layers = itertools.chain.from_iterable(stages)
        owners = dict(zip(plan.blocks(self.config), layers, strict=True))
        owners |= {None: self, "embedding": self.embedding}
        return {
            f"{layer.path}.{name}": getattr(
                getattr(owners[layer.owner], layer.name), name
            )
            for layer in plan.layers(self.config)
            for name in layer.shapes()
        }

    def get_config(self):
        config = super().get_config()
        return {**config, "config": to_dict(self.config)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        return cls(from_dict(UNetConfig, config.pop("config")), **config)


def _stage(block: plan.Block) -> tuple[str, int | None]:
    return block.side, block.stage


def _fold_in(seed, block):
    return tf.random.experimental.stateless_fold_in(seed, block)
