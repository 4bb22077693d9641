"""Distributes a stream of examples over the replicas, batch by batch."""

from collections.abc import Callable

import tensorflow as tf

from tf_student.data.streams import Part
from tf_student.runtime.errors import InputError


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
