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
    values = [[v.value for v in group] for group in (ema_variables, variables)]
    # One call for all variables: each call costs milliseconds of tracing.
    args = (*values, 1.0 - decay)
    strategy.extended.update(values[0][0], _assign, args=args, group=False)


def _assign(_, ema_variables, variables, rate):
    """Updates the copies of one device."""
    rate = tf.constant(rate)
    done = []
    for ema_variable, variable in zip(ema_variables, variables, strict=True):
        # Without the dependency TensorFlow computes all differences first, which takes
        # as much memory as the weights.
        earlier = done[-_CONCURRENT_UPDATES : 1 - _CONCURRENT_UPDATES]
        with tf.control_dependencies(earlier):
            # One pass instead of the two of a product and an `assign_add`.
            update = tf.raw_ops.ResourceApplyGradientDescent(
                var=ema_variable.handle, alpha=rate, delta=ema_variable - variable
            )
        done.append(update)
    return tf.group(done)
