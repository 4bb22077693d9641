"""A discriminator on features of a frozen UNet (arXiv 2405.14867; 2410.14919)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.layers import conv, dense

_WIDTH = 32


class Discriminator(keras.Model):
    """A small head on each feature map of `UNet.encode`; their logits are averaged.

    It is a Keras model. Call with the features of images; returns float32 logits
    `[batch]`, which are positive for images that look real.

    Args:
        config: of the UNet.
        **kwargs: of `keras.Model`: `name`, `dtype`.
    """

    def __init__(self, config: UNetConfig, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        # TensorFlow tracks the list only if it is complete.
        self.heads = [
            self._head(config.image_size // 2**level, width, config.groups)
            for level, width in enumerate(config.widths)
        ]
        self.built = True

    def _head(self, size: int, width: int, groups: int) -> keras.Sequential:
        policy = self.dtype_policy
        return keras.Sequential(
            [
                keras.Input((size, size, width)),
                keras.layers.GroupNormalization(groups, dtype=policy),
                conv(_WIDTH, 3, policy),
                keras.layers.LeakyReLU(0.2, dtype=policy),
                keras.layers.Flatten(dtype=policy),
                dense(1, policy),
            ]
        )

    def call(self, features: Sequence[tf.Tensor]) -> tf.Tensor:
        logits = [
            tf.cast(head(feature)[:, 0], tf.float32)
            for head, feature in zip(self.heads, features, strict=True)
        ]
        return tf.add_n(logits) / len(logits)
