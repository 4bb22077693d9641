"""Exponential moving averages of weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf

# Differences that may be in memory at once.
_AT_ONCE = 4


def distance(
    averages: Sequence[keras.Variable], variables: Sequence[keras.Variable]
) -> float:
    """|average - variable| / |variable|, over all of them together."""
    pairs = zip(averages, variables, strict=True)
    apart = tf.linalg.global_norm([a.value - v.value for a, v in pairs])
    return float(apart / tf.linalg.global_norm([v.value for v in variables]))


def update(
    strategy: tf.distribute.Strategy,
    averages: Sequence[keras.Variable],
    variables: Sequence[keras.Variable],
    decay: float,
) -> None:
    """average += (1 - decay) * (variable - average), on every device.

    Call it in cross-replica context: after `strategy.run`, not within.
    """

    def assign(average, variable):
        # One pass instead of the two of a product and an `assign_add`.
        return tf.raw_ops.ResourceApplyGradientDescent(
            var=average.handle, alpha=1.0 - decay, delta=average - variable
        )

    done = []
    for average, variable in zip(averages, variables, strict=True):
        # TensorFlow would first subtract for all of them, which takes as much memory
        # as the weights.
        earlier = done[-_AT_ONCE] if len(done) >= _AT_ONCE else []
        with tf.control_dependencies(earlier):
            update = strategy.extended.update(
                average.value, assign, args=(variable.value,), group=False
            )
        done.append(tf.nest.flatten(update))
