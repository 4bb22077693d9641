"""The order in which stored and online pairs are trained on."""

import itertools
from collections.abc import Callable

import tensorflow as tf

from tf_student.data import streams
from tf_student.pairs import manifests

# Shards that are read together and shuffled as one.
WINDOW = 16

# From int64 numbers `[n]` of training shards, n at most `WINDOW`, to a dataset with one
# element for each of their pairs, taken from each shard in turn.
ReadShards = Callable[[tf.Tensor], tf.data.Dataset]


def endless(
    manifest: manifests.Manifest,
    read: ReadShards,
    *,
    seed: int,
    start: int,
    max_pairs: int = 0,
    part: streams.Part = streams.WHOLE,
) -> tf.data.Dataset:
    """Endless training pairs from a position on, a function of seed and position.

    Every epoch shuffles the shards, and the pairs within windows of `WINDOW` shards, so
    that a window fits into memory and whole windows can be skipped without reading.

    Args:
        manifest: manifest of the set.
        read: reads some shards.
        seed: seed of the order.
        start: number of pairs to skip at the beginning.
        max_pairs: number of pairs to use, rounded up to whole shards; 0 uses all.
        part: this worker's part of the stream.

    Returns:
        A dataset of (int64 position, element).
    """
    epoch = _epochs(manifest, read, seed, max_pairs)
    total = count(manifest, max_pairs)
    return part.of(streams.endless(epoch, count=total, start=start))


def reshuffled(
    manifest: manifests.Manifest,
    read: ReadShards,
    *,
    seed: int,
    max_pairs: int = 0,
) -> tf.data.Dataset:
    """One epoch of the elements of `endless`; each new iterator has the next epoch.

    Args:
        manifest: manifest of the set.
        read: reads some shards.
        seed: seed of the order.
        max_pairs: number of pairs to use, rounded up to whole shards; 0 uses all.
    """
    epoch = _epochs(manifest, read, seed, max_pairs)
    numbers = itertools.count()
    # A Python function, because no state of a dataset survives its iterators.
    number = tf.data.Dataset.range(1).map(
        lambda _: tf.ensure_shape(
            tf.numpy_function(lambda: next(numbers), [], tf.int64), []
        )
    )
    nothing = tf.constant(0, tf.int64)
    return streams.untuned(number.flat_map(lambda n: epoch(n, nothing)))


def count(manifest: manifests.Manifest, max_pairs: int = 0) -> int:
    """Number of training pairs in an epoch."""
    return sum(shard.pairs for shard in _shards(manifest, max_pairs))


def _shards(
    manifest: manifests.Manifest, max_pairs: int
) -> tuple[manifests.Shard, ...]:
    shards = manifest.split(manifests.TRAIN)
    if max_pairs:
        shards = shards[: -(-max_pairs // manifest.pairs.shard_pairs)]
    return shards


def _epochs(
    manifest: manifests.Manifest, read: ReadShards, seed: int, max_pairs: int
) -> Callable[[tf.Tensor, tf.Tensor], tf.data.Dataset]:
    """A function from (epoch, elements to skip) to the elements of that epoch."""
    counts = tf.constant([s.pairs for s in _shards(manifest, max_pairs)], tf.int64)
    size = WINDOW * manifest.pairs.shard_pairs

    def epoch(number: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
        def window(numbers: tf.Tensor) -> tf.data.Dataset:
            return streams.shuffle_windows(
                read(numbers), size=size, seed=seed, epoch=number
            )

        return _epoch(counts, window, seed, number, skip)

    return epoch


def _epoch(
    counts: tf.Tensor,
    window: ReadShards,
    seed: int,
    epoch: tf.Tensor,
    skip: tf.Tensor,
) -> tf.data.Dataset:
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    draws = tf.random.stateless_uniform(counts.shape, key)
    order = tf.argsort(draws, stable=True)
    ends = tf.cumsum(tf.gather(counts, order))
    # Windows that end before the position are not even opened.
    whole = tf.reduce_sum(tf.cast(ends <= skip, tf.int64)) // WINDOW * WINDOW
    before = tf.where(whole > 0, tf.gather(ends, tf.maximum(whole - 1, 0)), 0)
    numbers = tf.data.Dataset.from_tensor_slices(tf.cast(order, tf.int64)).skip(whole)
    return numbers.batch(WINDOW).flat_map(window).skip(skip - before)
