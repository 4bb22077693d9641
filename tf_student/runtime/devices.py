"""The devices and workers of a run, and the options that depend on them."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.runtime import allocator
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

_strategies: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def open_devices(
    run: RunConfig, seed: int | None = None, *, workers: bool = False
) -> tf.distribute.Strategy:
    """Selects kernels and allocator, and returns a strategy over all devices.

    Args:
        run: selects the fused or the stock op, and deterministic kernels.
        seed: seeds Keras, NumPy and Python, and so the initial weights; None leaves
            their random state unchanged.
        workers: whether to include the devices of the other workers that `TF_CONFIG`
            names. The function must then be called before any TensorFlow operation.

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
    strategy = make_workers_strategy() if workers else make_strategy()
    allocator.keep_large_blocks()
    return strategy


def make_strategy(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns a MirroredStrategy over `devices`: by default all GPUs, or else the CPU.

    The same devices give the same object. Two strategies over the same devices would
    number their collective operations alike, and TensorFlow would confuse them.
    """
    with _without_tf_config():
        strategy = tf.distribute.MirroredStrategy(devices)
    return _strategies.setdefault(strategy.extended.worker_devices, strategy)


@contextlib.contextmanager
def _without_tf_config() -> Iterator[None]:
    """Hides TF_CONFIG: MirroredStrategy ignores it, but fails if it is not valid."""
    text = os.environ.pop("TF_CONFIG", None)
    try:
        yield
    finally:
        if text is not None:
            os.environ["TF_CONFIG"] = text


def make_workers_strategy() -> tf.distribute.Strategy:
    """Returns a strategy over all workers that TF_CONFIG names, or over this machine.

    It must be called before any TensorFlow operation, because each worker starts a
    server for the others. It waits until all workers have started.

    Raises:
        InputError: if TF_CONFIG is not valid.
    """
    if workers_in_environment() < 2:
        return make_strategy()
    return tf.distribute.MultiWorkerMirroredStrategy()


def workers_in_environment() -> int:
    """Returns the number of workers that TF_CONFIG names; 0 if it is not set.

    Raises:
        InputError: if TF_CONFIG is not valid.
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
            '{"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}, with a task of the cluster. '
            f"Received: TF_CONFIG={text}."
        ) from error


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the chief, which is the only worker that writes."""
    return strategy.extended.should_checkpoint


def has_other_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part in the run."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def from_chief(strategy: tf.distribute.Strategy, value: int) -> int:
    """Returns the chief's value on every worker. All workers must call it."""

    @tf.function(autograph=False)
    def add_up(value):
        def share(value):
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group == 0
            return context.all_reduce("SUM", tf.where(first, value, 0))

        shared = strategy.run(share, args=(value,))
        return strategy.experimental_local_results(shared)[0]

    return int(add_up(tf.constant(value, tf.int64)))


def use_xla(mode: str) -> bool:
    """Whether to compile with XLA, for the mode `auto`, `on` or `off`.

    XLA makes these networks slower on CPUs, so `auto` enables it on GPUs only.
    """
    return mode == "on" or (
        mode == "auto" and bool(tf.config.list_logical_devices("GPU"))
    )


def policy(dtype: str) -> str:
    """Returns the Keras dtype policy that computes in `dtype` with float32 weights."""
    return dtype if dtype == "float32" else f"mixed_{dtype}"


def for_count(
    run: RunConfig, count: int, strategy: tf.distribute.Strategy
) -> RunConfig:
    """Limits the batch of each device to its share of `count` images."""
    share = -(-count // strategy.num_replicas_in_sync)
    return dataclasses.replace(run, device_batch=max(1, min(run.device_batch, share)))
