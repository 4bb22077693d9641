"""One optimizer step over all replicas."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_student.diffusion.losses import global_mean
from tf_student.training import ema
from tf_student.training.state import TrainState
from tf_student.training.training_config import TrainConfig

Loss = Callable[[keras.Model, Any, tf.Tensor], tf.Tensor]
_fold_in = tf.random.experimental.stateless_fold_in


class Outcome(NamedTuple):
    """What a step found; scalars that are the same on every replica.

    Attributes:
        loss: the mean over the global batch.
        norm: of the gradients, before clipping.
        stops: how many replicas were asked to stop.
    """

    loss: tf.Tensor
    norm: tf.Tensor
    stops: tf.Tensor


def make_train_step(
    strategy: tf.distribute.Strategy,
    state: TrainState,
    loss: Loss,
    *,
    config: TrainConfig,
    xla: bool,
    parts: int = 1,
) -> Callable[[Any, tf.Tensor], Outcome]:
    """Builds the compiled step.

    XLA compiles each replica's loss and gradients. It cannot reach variables of
    another device, so the update stays outside, in the replica function.

    Args:
        strategy: its replicas each take their part of the batch.
        state: is updated; where the gradients are not finite and the loss is scaled,
            all but the averages and the count stays.
        loss: from (model, part of a batch, int32 seed `[2]`) to losses `[examples]`.
        config: gives the global batch, clipping, averaging and the seed.
        xla: whether to compile with XLA.
        parts: into how many a replica's batch is cut, one after the other, for less
            memory.

    Returns:
        A function of a distributed batch and of a float32 scalar, 1 where this process
        was asked to stop. It does not wait for the device.
    """
    variables = state.model.trainable_variables

    gradients = _make_gradients(state, loss, config.batch_size, xla, parts)

    def replica_step(batch, stop):
        context = tf.distribute.get_replica_context()
        seed = tf.constant([config.seed % 2**31, 0], tf.int32)
        step = tf.cast(state.step.read_value(), tf.int32)
        seed = _fold_in(_fold_in(seed, step), context.replica_id_in_sync_group)
        # A tensor of this replica: the argument is on no device that could be summed.
        stop = tf.identity(stop)
        summed = context.all_reduce("SUM", [stop, *gradients(batch, seed)])
        stops, value, *grads = summed
        norm = tf.linalg.global_norm(grads)
        if config.clip_norm:
            limit = state.optimizer.scale_loss(config.clip_norm)
            grads, _ = tf.clip_by_global_norm(grads, limit, norm)
        norm /= state.optimizer.scale_loss(1.0)
        state.optimizer.apply(grads, variables)
        return Outcome(value, norm, stops)

    @tf.function
    def step(batch, stop):
        outcome = strategy.run(replica_step, args=(batch, stop))
        averages = state.ema.trainable_variables
        ema.update(strategy, averages, variables, config.ema_decay)
        state.step.assign_add(1)
        norm = strategy.experimental_local_results(outcome.norm)[0]
        finite = tf.math.is_finite(norm)
        state.skipped.assign_add(tf.where(finite, tf.constant(0, tf.int64), 1))
        return Outcome(*(strategy.experimental_local_results(o)[0] for o in outcome))

    return step


def _make_gradients(state: TrainState, loss: Loss, total: int, xla: bool, parts: int):
    """From a replica's part of `total` examples to its loss and its gradients."""

    def of_part(batch, seed):
        with tf.GradientTape() as tape:
            value = global_mean(loss(state.model, batch, seed), total)
            scaled = state.optimizer.scale_loss(value)
        return [value, *tape.gradient(scaled, state.model.trainable_variables)]

    @tf.function(jit_compile=xla, reduce_retracing=True)
    def gradients(batch, seed):
        if parts == 1:
            return of_part(batch, seed)
        return _summed_over_parts(of_part, batch, seed, parts)

    return gradients


def _summed_over_parts(function, batch, seed, parts: int) -> list[tf.Tensor]:
    """The sum of `function(part, its seed)` over equal parts of a batch, in turn."""
    cut = tf.nest.map_structure(
        lambda x: tf.reshape(x, [parts, -1, *x.shape[1:]]), batch
    )

    def one(part):
        chosen = tf.nest.map_structure(lambda x: x[part], cut)
        return function(chosen, _fold_in(seed, part))

    def add(part, total):
        return part + 1, [a + b for a, b in zip(total, one(part), strict=True)]

    # One at a time: parts that run at once would all need their memory.
    loop = tf.while_loop(
        lambda part, total: part < parts, add, (1, one(0)), parallel_iterations=1
    )
    return loop[1]
