"""Exponential moving averages of weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf


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
        average.assign_add((1.0 - decay) * (variable - average))

    for average, variable in zip(averages, variables, strict=True):
        strategy.extended.update(
            average.value, assign, args=(variable.value,), group=False
        )
