"""The interface that stored and online pairs share, and that of samplers."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tf_student.data import streams
from tf_student.diffusion.inputs import Inputs
from tf_student.pairs.manifests import Manifest

# From float32 noise `[n, height, width, channels]`, or the pair of it and int32 labels
# `[n]`, to uint8 images of the shape of the noise.
Sample = Callable[[Inputs], np.ndarray]


@runtime_checkable
class Pairs(Protocol):
    """Pairs of noise and teacher images; see `PairSet` and `OnlinePairs`.

    With classes, the pair of noise and int32 labels takes the place of noise.

    Attributes:
        manifest: describes the pairs.
    """

    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Identifies the pairs in the metadata of a student."""

    def dataset(
        self, batch_size: int, *, seed: int = 0, max_pairs: int = 0
    ) -> tf.data.Dataset:
        """An epoch of float32 (noise, image) batches, for `keras.Model.fit`."""

    def held_out_dataset(self, batch_size: int) -> tf.data.Dataset:
        """Held-out pairs in float32 batches, for `validation_data` of `fit`."""

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless (float32 noise, uint8 image) training pairs from a position on."""

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in the order of their indices."""

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged file, if any is damaged."""

    def close(self) -> None:
        """Stops background work."""
