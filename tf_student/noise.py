"""Noise as a pure function of (seed, index), so that it never has to be stored."""

import tensorflow as tf

# Disjoint ranges of indices: no network is judged on noise that it was trained on.
TRAINING = 0
HELD_OUT = 2**40
EVALUATION = 2 * 2**40
TEACHER = 3 * 2**40


def normal(
    seed: int | tf.Tensor, indices: tf.Tensor, shape: tuple[int, ...]
) -> tf.Tensor:
    """Standard normal noise, one independent draw for each index.

    It runs on the host: TensorFlow's CPU, GPU and XLA kernels round the same draw
    differently, and the reader of a pair set must get the writer's bits.

    Args:
        seed: int64 scalar.
        indices: int64 `[n]`.
        shape: of one draw.

    Returns:
        float32 `[n, *shape]`.
    """
    with tf.device("CPU:0"):
        seed = tf.cast(seed, tf.int64)

        def draw(index):
            key = tf.stack([seed, index])
            return tf.random.stateless_normal(shape, key, alg="philox")

        return tf.map_fn(
            draw,
            tf.cast(indices, tf.int64),
            fn_output_signature=tf.TensorSpec(shape, tf.float32),
        )
