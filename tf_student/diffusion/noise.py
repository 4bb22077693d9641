"""Noise as a pure function of (seed, index), so that it never has to be stored."""

import tensorflow as tf

# Disjoint ranges of indices: no network is judged on noise that it was trained on.
TRAINING = 0
HELD_OUT = 2**40
EVALUATION = 2 * 2**40
TEACHER = 3 * 2**40


def draw(seed: int | tf.Tensor, index: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal noise of one index.

    It runs on the host: TensorFlow's CPU, GPU and XLA kernels round the same draw
    differently, and the reader of a pair set must get the writer's bits.

    Args:
        seed: int64 scalar.
        index: int64 scalar.
        shape: of the draw.

    Returns:
        float32 `shape`.
    """
    with tf.device("CPU:0"):
        key = tf.stack([tf.cast(seed, tf.int64), tf.cast(index, tf.int64)])
        return tf.random.stateless_normal(shape, key, alg="philox")


def normal(
    seed: int | tf.Tensor, indices: tf.Tensor, shape: tuple[int, ...]
) -> tf.Tensor:
    """`draw` for each of `indices`, int64 `[n]`; float32 `[n, *shape]`."""
    seed, indices = (tf.cast(number, tf.int64) for number in (seed, indices))
    return _normal(seed, indices, tuple(shape))


# Compiled: call by call, a draw takes longer than a small network needs for an image.
@tf.function(reduce_retracing=True)
def _normal(seed, indices, shape):
    with tf.device("CPU:0"):
        return tf.map_fn(
            lambda index: draw(seed, index, shape),
            indices,
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
