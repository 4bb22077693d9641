"""Endless shuffled streams that can start at any position.

The element at a position depends only on the seed and the position. Therefore a resumed
run sees the same elements as an uninterrupted one.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

FOREVER = 2**31


@dataclasses.dataclass(frozen=True)
class Part:
    """The part of a stream that one worker reads: one block in `count` blocks.

    Attributes:
        size: the number of elements in a block.
        index: the index of the worker, from 0.
        count: the number of workers.
    """

    size: int = 1
    index: int = 0
    count: int = 1

    def of(self, stream: tf.data.Dataset) -> tf.data.Dataset:
        """Removes the blocks of other workers. Call it before decoding elements."""
        if self.count == 1:
            return stream

        def is_own(position: tf.Tensor, element: Any) -> tf.Tensor:
            return position // self.size % self.count == self.index

        return stream.enumerate().filter(is_own).map(lambda _, element: element)


WHOLE = Part()


def endless(
    epoch: Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset], *, count: int, start: int
) -> tf.data.Dataset:
    """Concatenates epochs and numbers their elements.

    Args:
        epoch: maps int64 scalars (epoch number, number of elements to skip) to a
            dataset of the `count` elements of this epoch without the skipped ones.
        count: the number of elements in an epoch.
        start: the position to start at.

    Returns:
        A dataset of (int64 position, element) from position `start`.
    """
    first, offset = divmod(start, count)

    def remaining(number: tf.Tensor) -> tf.data.Dataset:
        skip = tf.where(number == first, tf.constant(offset, tf.int64), 0)
        return epoch(number, skip)

    stream = tf.data.Dataset.range(first, FOREVER).flat_map(remaining).enumerate(start)
    return untuned(stream)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Switches the autotuning of a dataset off, and of datasets derived from it.

    The tuner of tf.data sleeps in a thread, and closing a dataset may wait for seconds
    until it wakes. Without the tuner, AUTOTUNE means one parallel call for each core.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def shuffle_windows(
    dataset: tf.data.Dataset, *, size: int, seed: int, epoch: tf.Tensor
) -> tf.data.Dataset:
    """Permutes the elements within each window of `size` consecutive elements.

    Unlike `Dataset.shuffle`, the order depends only on the arguments, and `epoch` may
    be a tensor. `tf.random.experimental.index_shuffle` would give another order, with
    which existing runs could not be resumed.

    Args:
        dataset: the elements.
        size: the number of elements in a window.
        seed: of the permutations.
        epoch: int64 scalar; each epoch has other permutations.
    """

    def permute(number: tf.Tensor, window: Any) -> Any:
        # Seeds of tf.random have two numbers; folding adds the third.
        key = tf.random.experimental.stateless_fold_in(
            tf.stack([tf.constant(seed, tf.int64), epoch]), number
        )
        # The parts of an element stay together, because equal keys give equal orders.
        return tf.nest.map_structure(
            lambda part: tf.random.experimental.stateless_shuffle(part, key), window
        )

    return dataset.batch(size).enumerate().map(permute).unbatch()


@contextlib.contextmanager
def diagnosed(diagnose: Callable[[], object]) -> Iterator[None]:
    """Calls `diagnose` if reading a stream in this context fails.

    Args:
        diagnose: raises an `InputError` that names the damaged input, if any.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError):
        diagnose()
        raise
