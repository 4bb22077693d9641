"""One optimizer step over all replicas."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_student.config import TrainConfig
from tf_student.losses import global_mean
from tf_student.training import ema
from tf_student.training.state import TrainState

Loss = Callable[[keras.Model, Any, tf.Tensor], tf.Tensor]


def make_train_step(
    strategy: tf.distribute.Strategy,
    state: TrainState,
    loss: Loss,
    *,
    config: TrainConfig,
    xla: bool,
) -> Callable[[Any], tuple[tf.Tensor, tf.Tensor]]:
    """Builds the compiled step.

    XLA compiles each replica's loss and gradients. It cannot reach variables of
    another device, so the update stays outside, in the replica function.

    Args:
        strategy: its replicas each take their part of the batch.
        state: is updated.
        loss: from (model, part of a batch, int32 seed `[2]`) to losses `[examples]`.
        config: gives the global batch, clipping, averaging and the seed.
        xla: whether to compile with XLA.

    Returns:
        A function of a distributed batch that returns the mean loss over the global
        batch and the gradients' norm before clipping, and does not wait for the device.
    """
    variables = state.model.trainable_variables

    @tf.function(jit_compile=xla, reduce_retracing=True)
    def gradients(batch, seed):
        with tf.GradientTape() as tape:
            value = global_mean(loss(state.model, batch, seed), config.batch_size)
        return value, tape.gradient(value, variables)

    def replica_step(batch):
        context = tf.distribute.get_replica_context()
        fold_in = tf.random.experimental.stateless_fold_in
        seed = tf.constant([config.seed % 2**31, 0], tf.int32)
        step = tf.cast(state.step.read_value(), tf.int32)
        seed = fold_in(fold_in(seed, step), context.replica_id_in_sync_group)
        value, grads = gradients(batch, seed)
        value, *grads = context.all_reduce("SUM", [value, *grads])
        norm = tf.linalg.global_norm(grads)
        if config.clip_norm:
            grads, _ = tf.clip_by_global_norm(grads, config.clip_norm, norm)
        state.optimizer.apply(grads, variables)
        return value, norm

    @tf.function
    def step(batch):
        outcome = strategy.run(replica_step, args=(batch,))
        averages = state.ema.trainable_variables
        ema.update(strategy, averages, variables, config.ema_decay)
        state.step.assign_add(1)
        return tuple(strategy.experimental_local_results(o)[0] for o in outcome)

    return step
