"""Endless shuffled streams that can begin at any position.

The element at a position is a function of the seed and the position alone, so a run
that is continued sees what an undisturbed one would have seen.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import tensorflow as tf

_FOREVER = 2**31


@dataclasses.dataclass(frozen=True)
class Part:
    """A worker's part of a stream: of every `count` blocks one.

    Attributes:
        size: elements of a block.
        index: which block, from 0.
        count: workers.
    """

    size: int = 1
    index: int = 0
    count: int = 1

    def of(self, stream: tf.data.Dataset) -> tf.data.Dataset:
        """Drops the other workers' blocks, so do it before any decoding."""
        if self.count == 1:
            return stream

        def ours(place, element):
            return place // self.size % self.count == self.index

        return stream.enumerate().filter(ours).map(lambda place, element: element)


WHOLE = Part()


def endless(
    epoch: Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset], *, count: int, start: int
) -> tf.data.Dataset:
    """Chains epochs and numbers their elements.

    Args:
        epoch: from int64 scalars (epoch number, elements to skip) to a dataset of the
            `count` elements of that epoch, in its order, less the skipped ones.
        count: elements of one epoch.
        start: position to begin at.

    Returns:
        A dataset of (int64 position, element), beginning at `start`.
    """
    first, offset = divmod(start, count)

    def one(number):
        skip = tf.where(number == first, tf.constant(offset, tf.int64), 0)
        return epoch(number, skip)

    stream = tf.data.Dataset.range(first, _FOREVER).flat_map(one).enumerate(start)
    return untuned(stream)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """A dataset that closes at once, and what is made of it too.

    tf.data's tuner sleeps longer each time, and the end of a stream often waits until
    it wakes, for seconds. Without it AUTOTUNE means a call for each core.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def shuffle_windows(
    dataset: tf.data.Dataset, *, size: int, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """Permutes each `size` consecutive elements: all of them, if that is the count.

    Unlike `Dataset.shuffle` it is stateless, and its seed may be a tensor.
    """

    def permute(number, window):
        # tf.random's seeds are pairs; three numbers make the key.
        key = tf.random.experimental.stateless_fold_in(
            tf.stack([tf.constant(seed, tf.int64), epoch]), number
        )
        return tf.random.experimental.stateless_shuffle(window, key)

    return dataset.batch(size).enumerate().map(permute).unbatch()


@contextlib.contextmanager
def diagnosed(diagnose: Callable[[], None]) -> Iterator[None]:
    """Around reading a stream: where that fails, `diagnose` may name the culprit.

    Args:
        diagnose: raises an `InputError` that names the damaged input, if one is.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError):
        diagnose()
        raise
