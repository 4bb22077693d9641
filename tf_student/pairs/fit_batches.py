"""Pairs as `keras.Model.fit` takes them: float32 batches of known number."""

import tensorflow as tf

from tf_student.data import images, streams


def train_batches(
    pairs: tf.data.Dataset, *, count: int, batch_size: int
) -> tf.data.Dataset:
    """Batches of an epoch; an incomplete last batch is dropped.

    Args:
        pairs: float32 noise and uint8 image, `[height, width, channels]`.
        count: number of pairs.
        batch_size: pairs in a batch.

    Returns:
        A dataset of (noise, image), both float32
        `[batch_size, height, width, channels]`, images in [-1, 1].

    Raises:
        ValueError: if `batch_size` is below 1 or above `count`.
    """
    if not 1 <= batch_size <= count:
        raise ValueError(
            "`batch_size` must be at least 1 and at most the number of pairs. "
            f"Received: batch_size={batch_size}, pairs={count}."
        )
    batches = _float_batches(pairs, batch_size, drop_remainder=True)
    return _of_length(batches, count // batch_size)


def held_out_batches(
    pairs: tf.data.Dataset, *, count: int, batch_size: int
) -> tf.data.Dataset:
    """All pairs in batches as in `train_batches`; the last batch may be smaller.

    Raises:
        ValueError: if `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be at least 1. Received: batch_size={batch_size}."
        )
    batches = _float_batches(pairs, batch_size, drop_remainder=False)
    return _of_length(batches, -(-count // batch_size))


def _float_batches(
    pairs: tf.data.Dataset, batch_size: int, *, drop_remainder: bool
) -> tf.data.Dataset:
    pairs = pairs.map(lambda z, image: (z, images.to_float(image)), tf.data.AUTOTUNE)
    return pairs.batch(batch_size, drop_remainder=drop_remainder)


def _of_length(batches: tf.data.Dataset, length: int) -> tf.data.Dataset:
    """Declares the number of batches, which tf.data cannot derive, to Keras."""
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    return streams.untuned(batches.prefetch(2))
