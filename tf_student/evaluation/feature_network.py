"""A network that turns images into features, before it is put on devices."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

# Outputs of TF-GAN's Inception, and of every network that takes its place.
OUTPUTS = ("pool_3", "logits")

# From uint8 `[n, height, width, channels]` to activations and logits.
Network = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class FeatureNetwork:
    """A network with its name.

    Attributes:
        name: for reports and messages.
        identity: a digest that depends on the weights and on the preprocessing.
        network: from uint8 images `[n, height, width, channels]` to float32 activations
            `[n, dimensions]` and logits `[n, classes]`.
        shape: the only accepted `(height, width, channels)`; None accepts any size with
            1 or 3 channels.
    """

    name: str
    identity: str
    network: Network
    shape: tuple[int, int, int] | None = None


def flat(values: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """An output as float32 `[n, ...]`: TF-GAN's `pool_3` has axes of one element."""
    rows = tf.reshape(values, [tf.shape(images)[0], -1])
    return tf.cast(rows, tf.float32)
