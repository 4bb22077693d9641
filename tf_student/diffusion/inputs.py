"""The inputs of a generator: noise and, for a network with classes, labels.

Both are pure functions of a seed and an index. A network without classes takes noise; a
network with classes takes the pair (noise, labels).
"""

import numbers
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.runtime.errors import InputError

# Noise, or (noise, labels).
Inputs = Any

# Added to the index of the noise, so that a label does not share its random bits.
_FIRST_LABEL = 2**50


def label(seed: int | tf.Tensor, index: tf.Tensor, classes: int) -> tf.Tensor:
    """Returns the class for one index, uniform in [0, classes - 1].

    Args:
        seed: int64 scalar.
        index: int64 scalar.
        classes: number of classes.

    Returns:
        int32 scalar.
    """
    # On the CPU for the reason that `noise.draw` gives.
    with tf.device("CPU:0"):
        key = tf.stack(
            [tf.cast(seed, tf.int64), tf.cast(index, tf.int64) + _FIRST_LABEL]
        )
        return tf.random.stateless_uniform([], key, 0, classes, tf.int32, alg="philox")


def labels(seed: int | tf.Tensor, indices: Any, classes: int) -> tf.Tensor:
    """Returns the class for each index, int32 `[n]`, as `label` does for one.

    Example:

    >>> from tf_student.diffusion import inputs
    >>> inputs.labels(7, range(4), 10).shape
    TensorShape([4])
    """
    seed, indices = (tf.cast(number, tf.int64) for number in (seed, indices))
    return _labels(seed, indices, classes)


# A graph, because without one this takes longer than drawing the noise.
@tf.function(autograph=False, reduce_retracing=True)
def _labels(seed: tf.Tensor, indices: tf.Tensor, classes: int) -> tf.Tensor:
    with tf.device("CPU:0"):
        return tf.map_fn(
            lambda index: label(seed, index, classes),
            indices,
            fn_output_signature=tf.TensorSpec([], tf.int32),
        )


def draw(
    seed: int | tf.Tensor, index: tf.Tensor, shape: tuple[int, ...], classes: int = 0
) -> Inputs:
    """Returns the input for one index.

    Args:
        seed: int64 scalar.
        index: int64 scalar.
        shape: the shape of the noise.
        classes: number of classes; 0: the network has none.

    Returns:
        float32 noise `shape`; with classes, the pair of it and an int32 label.
    """
    z = noise.draw(seed, index, shape)
    return (z, label(seed, index, classes)) if classes else z


def batch(
    seed: int | tf.Tensor, indices: Any, shape: tuple[int, ...], classes: int = 0
) -> Inputs:
    """Returns the inputs for each index, as `draw` does for one.

    Returns:
        float32 noise `[n, *shape]`; with classes, the pair of it and int32 labels
        `[n]`.

    Example:

    >>> from tf_student.diffusion import inputs
    >>> z, labels = inputs.batch(7, range(4), (8, 8, 1), classes=10)
    >>> z.shape, labels.shape
    (TensorShape([4, 8, 8, 1]), TensorShape([4]))
    """
    z = noise.normal(seed, indices, shape)
    return (z, labels(seed, indices, classes)) if classes else z


def split(inputs: Inputs) -> tuple[Any, Any]:
    """Noise and labels; the labels are None for a network without classes."""
    if not isinstance(inputs, tuple | list):
        return inputs, None
    z, labels = inputs
    return z, labels


def check_labels(labels: Sequence[int], count: int, classes: int) -> None:
    """Checks labels that a user gives.

    Raises:
        InputError: if their number is not `count`, if one of them is not an integer in
            [0, classes - 1], or if the network has no classes.
    """
    if not classes:
        raise InputError(
            "`labels` must not be given for a network without classes. "
            f"Received: labels={list(labels)[:8]}."
        )
    if len(labels) != count:
        raise InputError(
            "`labels` must have a class for each image. "
            f"Received: {len(labels)} labels for {count} images."
        )
    for value in labels:
        if not isinstance(value, numbers.Integral) or not 0 <= value < classes:
            raise InputError(
                f"`labels` must be integers from 0 to {classes - 1}. "
                f"Received: {value!r}."
            )
