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
    """Distributes batches of an endless dataset of examples over the replicas.

    The batches of all replicas in one step together hold `batch_size` consecutive
    examples, whatever the number of replicas and workers.

    Args:
        strategy: the strategy whose replicas get the batches.
        examples: returns a worker's part of the dataset.
        batch_size: examples per step, over all replicas.
        parts: number of parts into which each replica will split its batch.

    Returns:
        The distributed dataset, with `batch_size / replicas` examples per replica.

    Raises:
        InputError: if `batch_size` is not divisible by the number of replicas, or a
            replica's batch not by `parts`.
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

    @tf.autograph.experimental.do_not_convert  # Converting takes up to a second.
    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers = context.num_input_pipelines
        part = Part(batch_size // workers, context.input_pipeline_id, workers)
        batched = examples(part).batch(batch_size // replicas, drop_remainder=True)
        return batched.prefetch(2 * replicas // workers)

    return strategy.distribute_datasets_from_function(batches)
