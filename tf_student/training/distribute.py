"""Which devices work, and how the work is cut for them."""

from collections.abc import Callable, Sequence

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
