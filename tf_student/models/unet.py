"""The UNet of diffusion models (DDPM, arXiv 2006.11239, app. B, and later ones)."""

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.blocks import ResBlock, make_block
from tf_student.models.layers import GroupNormSiLU, TimestepEmbedding, built, conv
from tf_student.runtime.options import from_dict, to_dict

_Run = Callable[[list[keras.layers.Layer], tf.Tensor], tf.Tensor]
_fold_in = tf.random.experimental.stateless_fold_in
# The options that the constructor does not list.
_OTHERS = [f.name for f in dataclasses.fields(UNetConfig) if f.metadata["added"]]


@keras.saving.register_keras_serializable("tf_student")
class UNet(keras.Model):
    """The network eps(x, t), which predicts the noise in x at time step t.

    It is a Keras model. Call with float `x` `[batch, size, size, channels]`, integer
    `t` `[batch]` and, if it has classes, integer `labels` `[batch]`; returns float32 of
    the shape of x. When training with dropout, an int32 `seed` `[2]` makes the masks a
    function of the seed.

    The weights are created with the object, because the architecture defines all
    shapes.

    Args:
        config: the architecture, in place of the options below.
        image_size: height and width of an image.
        channels: channels of an image.
        base_width: channels at full resolution.
        width_multipliers: width of each level, in multiples of `base_width`.
        blocks_per_level: residual blocks of a level.
        attention_resolutions: image sizes at which attention follows every residual
            block.
        groups: groups of each group normalization.
        norm_epsilon: added to the variance in each group normalization.
        dropout: rate before the last convolution of each residual block.
        recompute: gradient checkpointing: whether training stores only the input of
            each block and recomputes the rest for the gradients. It is not saved.
        **kwargs: the other fields of `UNetConfig`, such as `heads` and `classes`; and
            of `keras.Model`: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: if the options contradict each other, or if an option differs from
            its default beside a `config`.

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
        others = {name: kwargs.pop(name) for name in _OTHERS if name in kwargs}
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
            **others,
        )
        if config is not None and options != UNetConfig():
            raise ValueError(
                "`config` must not be combined with options of the architecture. "
                f"Received: config={config} and {options}."
            )
        # Each layer casts its own inputs, because the student subtracts the prediction
        # from a float32 z.
        super().__init__(autocast=False, **kwargs)
        self.config, self.recompute = config or options, recompute
        self._make_layers()
        self.built = True

    def _make_layers(self) -> None:
        config, policy, size = self.config, self.dtype_policy, self.config.image_size
        width = config.base_width
        sinusoids = (config.cosine_first, config.frequency_shift)
        embedding = TimestepEmbedding(width, *sinusoids, dtype=policy, name="embedding")
        self.embedding = built(embedding, (None,))
        if config.classes:
            named = {"dtype": policy, "name": "class_table"}
            table = keras.layers.Embedding(config.label_rows, 4 * width, **named)
            self.class_table = built(table, (None,))
        stem = conv(width, 3, policy, name="stem")
        self.stem = built(stem, (None, size, size, config.channels))
        self.down: list[list[keras.layers.Layer]] = []
        self.middle: list[keras.layers.Layer] = []
        self.up: list[list[keras.layers.Layer]] = []
        for (side, _), blocks in itertools.groupby(plan.blocks(config), _stage):
            # TensorFlow tracks an inner list only if it is complete when appended.
            layers = [make_block(block, config, policy) for block in blocks]
            if side == "middle":
                self.middle = layers
            else:
                (self.down if side == "down" else self.up).append(layers)
        top = (None, size, size, config.widths[0])
        norm = (config.groups, config.norm_epsilon)
        self.norm = built(GroupNormSiLU(*norm, dtype=policy, name="norm"), top)
        head = conv(config.output_channels, 3, policy, zero=True, name="head")
        self.head = built(head, top)

    def call(self, x, t, labels=None, training=False, seed=None):
        return self.with_features(x, t, labels, training, seed)[0]

    def with_features(
        self,
        x: tf.Tensor,
        t: tf.Tensor,
        labels: tf.Tensor | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The network's output, and the features of `encode`."""
        run = self._runner(t, labels, training, seed)
        x, skips, features = self._encode(run, x)
        for layers in self.up:
            if not _resamples(layers):
                x = tf.concat([x, skips.pop()], axis=-1)
            x = run(layers, x)
        assert not skips
        y = tf.cast(self.head(self.norm(x)), tf.float32)
        # The further channels, if there are any, are those of a variance.
        return y[..., : self.config.channels], features

    def encode(
        self,
        x: tf.Tensor,
        t: tf.Tensor,
        labels: tf.Tensor | None = None,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> list[tf.Tensor]:
        """The encoder's features: a discriminator's view of x.

        Returns:
            For each level, from full resolution down, the output of its last block;
            for the lowest level, that of the middle. Their shapes are
            `[batch, size, size, width]`.
        """
        return self._encode(self._runner(t, labels, training, seed), x)[2]

    def _encode(
        self, run: _Run, x: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """The output of the middle, those for the decoder, and the features."""
        x = self.stem(x)
        skips, features = [x], []
        for layers in self.down:
            if _resamples(layers):
                features.append(x)
            x = run(layers, x)
            skips.append(x)
        x = run(self.middle, x)
        return x, skips, [*features, x]

    def _embed(self, t: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """SiLU of the embedding of time step and class, the input of every block."""
        if (labels is None) == bool(self.config.classes):
            expected = "be given" if self.config.classes else "not be given"
            raise ValueError(
                f"`labels` must {expected} to a network of {self.config.classes} "
                f"classes. Received: labels={labels}."
            )
        temb = self.embedding(t)
        if labels is not None:
            temb += self.class_table(labels)
        return tf.nn.silu(temb)

    def _runner(
        self,
        t: tf.Tensor,
        labels: tf.Tensor | None,
        training: bool,
        seed: tf.Tensor | None,
    ) -> _Run:
        """A function that applies the layers of a stage in turn."""
        temb, numbers = self._embed(t, labels), itertools.count(1)
        if not (training and self.config.dropout):
            seed = None  # Saves the operations that derive a seed for each block.

        def run(layers, x):
            for layer in layers:
                options, inputs = {}, (x,)
                if isinstance(layer, ResBlock):
                    options = {"training": training}
                    if seed is not None:
                        options["seed"] = _fold_in(seed, next(numbers))
                    inputs = (x, temb)
                call = functools.partial(layer, **options)
                if training and self.recompute:
                    call = tf.recompute_grad(call)
                x = call(*inputs)
            return x

        return run

    def compute_output_shape(self, x_shape, t_shape=None, labels_shape=None):
        return x_shape

    def fingerprint(self) -> str:
        """SHA-256 of architecture and weights, equal for equal networks."""
        text = json.dumps(to_dict(self.config), sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for weight in self.weights:
            digest.update(weight.numpy().tobytes())
        return digest.hexdigest()

    def copy(
        self,
        *,
        dtype: Any = None,
        recompute: bool = False,
        dropout: float | None = None,
    ) -> "UNet":
        """A new network with the same weights.

        It is created on the devices of the current `tf.distribute` scope.

        Args:
            dtype: its dtype policy; None keeps the policy of this network.
            recompute: whether it uses gradient checkpointing.
            dropout: its dropout rate; None keeps the rate of this network.
        """
        config = self.config
        if dropout is not None:
            config = dataclasses.replace(config, dropout=dropout)
        copy = UNet(config, recompute=recompute, dtype=dtype or self.dtype_policy.name)
        copy.set_weights(self.get_weights())
        return copy

    def named_variables(self) -> dict[str, keras.Variable]:
        """All variables by their path in `tf_student.architecture.plan`."""
        stages = [*self.down, self.middle, *self.up]
        layers = itertools.chain.from_iterable(stages)
        owners: dict[Any, keras.layers.Layer] = dict(
            zip(plan.blocks(self.config), layers, strict=True)
        )
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


def _resamples(layers: list[keras.layers.Layer]) -> bool:
    """Whether a stage changes the resolution."""
    return bool(getattr(layers[0], "resample", ""))


def _stage(block: plan.Block) -> tuple[str, int | None]:
    return block.side, block.stage
