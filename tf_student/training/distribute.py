"""Which devices and machines work, and how the work is cut for them."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.errors import InputError
from tf_student.streams import Part

_made: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def make_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """MirroredStrategy over `devices`, by default all GPUs or else the CPU.

    The same devices give the same object: two strategies over them would give their
    collective operations the same numbers, and TensorFlow would mix these up.
    """
    with _without_tf_config():
        made = tf.distribute.MirroredStrategy(devices)
    return _made.setdefault(made.extended.worker_devices, made)


@contextlib.contextmanager
def _without_tf_config() -> Iterator[None]:
    """MirroredStrategy reads TF_CONFIG only to ignore it, and fails if it cannot."""
    text = os.environ.pop("TF_CONFIG", None)
    try:
        yield
    finally:
        if text is not None:
            os.environ["TF_CONFIG"] = text


def make_workers_strategy() -> tf.distribute.Strategy:
    """All devices of all workers that TF_CONFIG names; without it, of this machine.

    It must come before anything that runs an operation: each worker is a server to the
    others. It waits until all of them are there.

    Raises:
        InputError: if TF_CONFIG cannot be understood.
    """
    if workers_in_environment() < 2:
        return make_strategy()
    return tf.distribute.MultiWorkerMirroredStrategy()


def workers_in_environment() -> int:
    """How many workers TF_CONFIG names; 0 without it.

    Raises:
        InputError: if it cannot be understood.
    """
    text = os.environ.get("TF_CONFIG", "")
    try:
        value = json.loads(text or "{}")
        cluster = tf.train.ClusterSpec(value.get("cluster", {}))
        if cluster.jobs:
            task = value["task"]
            cluster.task_address(task["type"], int(task["index"]))
        workers = {"chief", "worker"}.intersection(cluster.jobs)
        return sum(cluster.num_tasks(job) for job in workers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "`TF_CONFIG` must be JSON such as "
            '{"cluster": {"worker": ["host:port", ..]}, '
            '"task": {"type": "worker", "index": 0}}, the task being one of the '
            f"cluster. Received: TF_CONFIG={text}."
        ) from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    return strategy.extended.should_checkpoint


def has_other_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """The chief's value, on every worker; all of them must call it."""

    @tf.function
    def add_up(value):
        def share(value):
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            return context.all_reduce("SUM", tf.where(first, value, 0))

        shared = strategy.run(share, args=(value,))
        return strategy.experimental_local_results(shared)[0]

    return int(add_up(tf.constant(value, tf.int64)))


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
    examples: Callable[[Part], tf.data.Dataset],
    batch_size: int,
    *,
    parts: int = 1,
) -> tf.distribute.DistributedDataset:
    """Batches an endless dataset of examples over the replicas.

    Together the replicas' parts of one step are `batch_size` consecutive examples,
    whatever the number of replicas and of the workers that they are on.

    Args:
        strategy: its replicas.
        examples: makes the given part of the dataset.
        batch_size: examples of all replicas together.
        parts: into how many each replica will cut its own.

    Raises:
        InputError: if the replicas or their parts do not divide the batch.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise InputError(
            "`batch_size` must be divisible by the number of replicas. "
            f"Received: batch_size={batch_size}, replicas={replicas}."
        )

    if batch_size % (replicas * parts):
        raise InputError(
            "`accumulate` must divide a replica's share of `batch_size`. Received: "
            f"accumulate={parts}, batch_size={batch_size}, replicas={replicas}."
        )

    def batches(context):
        size = context.get_per_replica_batch_size(batch_size)
        workers = context.num_input_pipelines
        part = Part(batch_size // workers, context.input_pipeline_id, workers)
        batches = examples(part).batch(size, drop_remainder=True)
        return batches.prefetch(2 * replicas // workers)

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
