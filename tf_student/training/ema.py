"""Exponential moving averages of weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf


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
