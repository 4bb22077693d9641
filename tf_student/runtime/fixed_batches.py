"""Runs a function on every device, in batches of one fixed size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class FixedBatches:
    """Runs a function of one array on every device, in batches of one fixed size.

    Every device always gets `device_batch` examples, the last ones padded, so the
    function is traced once and a result does not depend on the number of devices.

    Args:
        strategy: its replicas share the work.
        function: from a tensor `[device_batch, ...]` to tensors of as many rows.
        device_batch: examples that one device gets at once.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        function: Callable[[tf.Tensor], Any],
        *,
        device_batch: int,
    ):
        self.batch = device_batch * strategy.num_replicas_in_sync
        self._strategy, self._device_batch = strategy, device_batch

        # AutoGraph, which strategies use, does not reach into a function of its own.
        def replica(x):
            return function(x)

        self._run = tf.function(lambda x: strategy.run(replica, args=(x,)))

    def __call__(self, examples: np.ndarray) -> Any:
        """The function's results as arrays of n rows, for n of at least 1."""
        parts = [
            self._one_batch(examples[start : start + self.batch])
            for start in range(0, len(examples), self.batch)
        ]
        return tf.nest.map_structure(
            lambda *rows: np.concatenate(rows)[: len(examples)], *parts
        )

    def _one_batch(self, examples: np.ndarray) -> Any:
        padding = [(0, self.batch - len(examples))] + [(0, 0)] * (examples.ndim - 1)
        examples = np.pad(examples, padding, mode="edge")
        size = self._device_batch

        def part(context):
            replica = context.replica_id_in_sync_group
            return tf.constant(examples[replica * size : (replica + 1) * size])

        per_replica = self._strategy.experimental_distribute_values_from_function(part)
        return tf.nest.map_structure(self._gather, self._run(per_replica))

    def _gather(self, values: Any) -> np.ndarray:
        local = self._strategy.experimental_local_results(values)
        return np.concatenate([value.numpy() for value in local])
