"""Noise as a pure function of a seed and an index, so that it need not be stored."""

from typing import Any

import tensorflow as tf

# The first index of each use of noise. The ranges are disjoint, so that no network is
# evaluated on noise that it was trained on.
TRAINING = 0
HELD_OUT = 2**40
EVALUATION = 2 * 2**40
TEACHER = 3 * 2**40
MATCHING = 4 * 2**40
SELECTION = 5 * 2**40


def draw(seed: int | tf.Tensor, index: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Returns standard normal noise for one index.

    The noise is computed on the CPU, because the CPU, GPU and XLA kernels of TensorFlow
    round differently, and a pair set must be read with the same bits as it was written.

    Args:
        seed: int64 scalar.
        index: int64 scalar.
        shape: the shape of the noise.

    Returns:
        float32 `shape`.
    """
    with tf.device("CPU:0"):
        key = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
        return tf.random.stateless_normal(shape, key, alg="philox")


def normal(seed: int | tf.Tensor, indices: Any, shape: tuple[int, ...]) -> tf.Tensor:
    """Returns standard normal noise for each index, as `draw` does for one.

    Args:
        seed: int64 scalar.
        indices: int64 `[n]`.
        shape: the shape of the noise of one index.

    Returns:
        float32 `[n, *shape]`.

    Example:

    >>> from tf_student.diffusion import noise
    >>> z = noise.normal(7, range(4), (8, 8, 1))
    >>> bool(tf.reduce_all(z[3] == noise.normal(7, [3], (8, 8, 1))[0]))
    True
    """
    seed, indices = (tf.cast(number, tf.int64) for number in (seed, indices))
    return _normal(seed, indices, tuple(shape))


# A graph, because without one drawing noise takes longer than a small network needs to
# make an image from it.
@tf.function(autograph=False, reduce_retracing=True)
def _normal(seed: tf.Tensor, indices: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    with tf.device("CPU:0"):
        return tf.map_fn(
            lambda index: draw(seed, index, shape),
            indices,
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
