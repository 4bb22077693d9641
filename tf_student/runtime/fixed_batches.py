"""Computes on all devices in batches of one fixed size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class FixedBatches:
    """Runs a function of arrays on every device, in batches of one fixed size.

    Each device always receives `device_batch` examples; the last batch is padded. So
    the function is traced only once, and the result for an example does not depend on
    the number of devices.

    Args:
        strategy: its replicas share the work.
        function: maps a tensor `[device_batch, ...]`, or a structure of such tensors,
            to tensors, or a structure of them, with `device_batch` rows.
        device_batch: the number of examples that one device receives at once.

    Example:

    >>> from tf_student.runtime.fixed_batches import FixedBatches
    >>> strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    >>> double = FixedBatches(strategy, lambda x: 2 * x, device_batch=4)
    >>> double(np.arange(5))
    array([0, 2, 4, 6, 8])
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        function: Callable[[Any], Any],
        *,
        device_batch: int,
    ):
        self.batch = device_batch * strategy.num_replicas_in_sync
        self._strategy, self._device_batch = strategy, device_batch

        # strategy.run applies AutoGraph to the function it is given, but not to the
        # functions that this one calls.
        def replica(x):
            return function(x)

        self._run = tf.function(
            lambda x: strategy.run(replica, args=(x,)), autograph=False
        )

    def __call__(self, examples: Any) -> Any:
        """Returns the results for examples `[n, ...]` as arrays with n rows, n >= 1.

        The examples are an array, or a structure of arrays with n rows.
        """
        count = len(tf.nest.flatten(examples)[0])
        parts = [
            self._run_batch(_rows(examples, start, self.batch))
            for start in range(0, count, self.batch)
        ]
        return tf.nest.map_structure(lambda *rows: np.concatenate(rows)[:count], *parts)

    def _run_batch(self, examples: Any) -> Any:
        examples = tf.nest.map_structure(self._padded, examples)
        size = self._device_batch

        def part(context):
            replica = context.replica_id_in_sync_group
            rows = _rows(examples, replica * size, size)
            return tf.nest.map_structure(tf.constant, rows)

        per_replica = self._strategy.experimental_distribute_values_from_function(part)
        return tf.nest.map_structure(self._gather, self._run(per_replica))

    def _padded(self, array: np.ndarray) -> np.ndarray:
        padding = [(0, self.batch - len(array))] + [(0, 0)] * (array.ndim - 1)
        return np.pad(array, padding, mode="edge")

    def _gather(self, values: Any) -> np.ndarray:
        local = self._strategy.experimental_local_results(values)
        return np.concatenate([value.numpy() for value in local])


def _rows(examples: Any, start: int, count: int) -> Any:
    """Some rows of each array."""
    return tf.nest.map_structure(lambda array: array[start : start + count], examples)
