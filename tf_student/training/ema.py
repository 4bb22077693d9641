"""Exponential moving average (EMA) of weights."""

from collections.abc import Sequence

import keras
import tensorflow as tf

# Number of differences that may be in memory at the same time.
_CONCURRENT_UPDATES = 4


def distance(
    ema_variables: Sequence[keras.Variable], variables: Sequence[keras.Variable]
) -> float:
    """|ema - variable| / |variable|, the norms being taken over all variables."""
    pairs = zip(ema_variables, variables, strict=True)
    difference = tf.linalg.global_norm([e.value - v.value for e, v in pairs])
    return float(difference / tf.linalg.global_norm([v.value for v in variables]))


def update(
    strategy: tf.distribute.Strategy,
    ema_variables: Sequence[keras.Variable],
    variables: Sequence[keras.Variable],
    decay: float,
) -> None:
    """ema += (1 - decay) * (variable - ema), on every device.

    Call it in cross-replica context: after `strategy.run`, not within it.

    Args:
        strategy: the strategy that the variables were created under.
        ema_variables: the EMA weights, which are updated.
        variables: the trained weights, in the same order.
        decay: in [0, 1).

    Raises:
        ValueError: if the numbers of variables differ.
    """

    def assign(ema_variable, variable):
        # One pass instead of the two of a product and an `assign_add`.
        return tf.raw_ops.ResourceApplyGradientDescent(
            var=ema_variable.handle,
            alpha=1.0 - decay,
            delta=ema_variable - variable,
        )

    done: list[list[tf.Operation]] = []
    for ema_variable, variable in zip(ema_variables, variables, strict=True):
        # Without the dependency TensorFlow computes all differences first, which takes
        # as much memory as the weights.
        earlier = done[-_CONCURRENT_UPDATES] if len(done) >= _CONCURRENT_UPDATES else []
        with tf.control_dependencies(earlier):
            updates = strategy.extended.update(
                ema_variable.value, assign, args=(variable.value,), group=False
            )
        done.append(tf.nest.flatten(updates))
