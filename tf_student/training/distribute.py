"""Which devices work, and how the work is cut for them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.errors import InputError

_made: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def make_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """MirroredStrategy over `devices`, by default all GPUs or else the CPU.

    The same devices give the same object: two strategies over them would give their
    collective operations the same numbers, and TensorFlow would mix these up.
    """
    made = tf.distribute.MirroredStrategy(devices)
    return _made.setdefault(made.extended.worker_devices, made)


def use_xla(mode: str) -> bool:
    """Resolves `auto`, `on` or `off`.

    On CPUs XLA makes these networks slower, so auto means GPUs only.
    """
    return mode == "on" or (
        mode == "auto" and bool(tf.config.list_logical_devices("GPU"))
    )


def policy(dtype: str) -> str:
    """The Keras dtype policy that computes in `dtype` and keeps float32 weights."""
    return dtype if dtype == "float32" else f"mixed_{dtype}"


def distribute(
    strategy: tf.distribute.Strategy,
    examples: Callable[[], tf.data.Dataset],
    batch_size: int,
) -> tf.distribute.DistributedDataset:
    """Batches an endless dataset of examples over the replicas.

    Together the replicas' parts of one step are `batch_size` consecutive examples,
    whatever the number of replicas.

    Raises:
        InputError: if the replicas do not divide the batch.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise InputError(
            "`batch_size` must be divisible by the number of replicas. "
            f"Received: batch_size={batch_size}, replicas={replicas}."
        )

    def batches(context):
        size = context.get_per_replica_batch_size(batch_size)
        return examples().batch(size, drop_remainder=True).prefetch(2 * replicas)

    return strategy.distribute_datasets_from_function(batches)


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
