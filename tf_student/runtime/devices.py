"""The devices and machines that a run uses, and what it asks of them."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

_made: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def open_devices(
    run: RunConfig, seed: int | None = None, *, workers: bool = False
) -> tf.distribute.Strategy:
    """Selects the kernels and returns a strategy over all devices.

    Args:
        run: selects the kernels of the fused op, and deterministic kernels.
        seed: of the initial weights; None leaves the random state of Keras, NumPy and
            Python as it is.
        workers: whether to include the devices of the other workers that `TF_CONFIG`
            names. It must then be called before any TensorFlow operation runs.

    Raises:
        InputError: if `fused=on` and the kernels were not built, or if `TF_CONFIG` is
            not valid.
    """
    try:
        ops.set_mode(run.fused)
    except ValueError as error:
        raise InputError(f"`fused`: {error}") from error
    if seed is not None:
        keras.utils.set_random_seed(seed % 2**32)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    return make_workers_strategy() if workers else make_strategy()


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


def for_count(
    run: RunConfig, count: int, strategy: tf.distribute.Strategy
) -> RunConfig:
    """`run` with batches no larger than a device's share of `count` images."""
    share = -(-count // strategy.num_replicas_in_sync)
    return dataclasses.replace(run, device_batch=max(1, min(run.device_batch, share)))
