"""What training needs of a set of pairs, whether it is stored or not."""

from typing import Protocol

import tensorflow as tf

from tf_student.data import streams
from tf_student.pairs.manifests import Manifest


class Pairs(Protocol):
    """Pairs of noise and teacher images; see `PairSet` and `OnlinePairs`.

    Attributes:
        manifest: what the pairs are.
    """

    manifest: Manifest

    @property
    def fingerprint(self) -> str:
        """Names the pairs in the metadata of a student that was trained on them."""

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless training pairs from a position on: (float32 noise, uint8 image)."""

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in their order."""

    def diagnose(self) -> None:
        """Raises an `InputError` that names the damaged file, if there is one."""

    def close(self) -> None:
        """Ends what runs in the background."""
