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
    """The results of a step: scalars that are the same on every replica.

    Attributes:
        loss: the mean over the global batch.
        norm: the global norm of the gradients, before clipping.
        stops: number of replicas that were asked to stop.
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
    """Builds the compiled training step.

    Args:
        strategy: each of its replicas gets a part of the batch.
        state: what the step updates. If the loss is scaled and the gradients are not
            finite, only the EMA weights and the step count change.
        loss: from (model, part of a batch, int32 seed `[2]`) to losses `[examples]`.
        config: the global batch size, clipping, the EMA decay and the seed.
        xla: whether to compile with XLA.
        parts: gradient accumulation: number of parts that a replica's batch is split
            into, which are computed one after the other to save memory.

    Returns:
        A function of a distributed batch and of a float32 scalar, which is 1 if this
        process was asked to stop. It does not wait for the device.
    """
    replica_step = _make_replica_step(state, loss, config, xla, parts)

    @tf.function
    def step(batch, stop):
        outcome = strategy.run(replica_step, args=(batch, stop))
        ema.update(
            strategy,
            state.ema.trainable_variables,
            state.model.trainable_variables,
            config.ema_decay,
        )
        state.step.assign_add(1)
        outcome = Outcome(*(strategy.experimental_local_results(o)[0] for o in outcome))
        finite = tf.math.is_finite(outcome.norm)
        state.skipped.assign_add(tf.where(finite, tf.constant(0, tf.int64), 1))
        return outcome

    return step


def _make_replica_step(
    state: TrainState, loss: Loss, config: TrainConfig, xla: bool, parts: int
) -> Callable[[Any, tf.Tensor], Outcome]:
    """From a replica's batch to an update with the gradients of the global batch."""
    gradients = _make_gradients(state, loss, config.batch_size, xla, parts)

    def replica_step(batch, stop):
        context = tf.distribute.get_replica_context()
        seed = tf.constant([config.seed % 2**31, 0], tf.int32)
        step = tf.cast(state.step.read_value(), tf.int32)
        seed = _fold_in(_fold_in(seed, step), context.replica_id_in_sync_group)
        # The argument is not on the replica's device, so it cannot be summed itself.
        stop = tf.identity(stop)
        summed = context.all_reduce("SUM", [stop, *gradients(batch, seed)])
        stops, value, *grads = summed
        norm = tf.linalg.global_norm(grads)
        if config.clip_norm:
            limit = state.optimizer.scale_loss(config.clip_norm)
            grads, _ = tf.clip_by_global_norm(grads, limit, norm)
        norm /= state.optimizer.scale_loss(1.0)
        state.optimizer.apply(grads, state.model.trainable_variables)
        return Outcome(value, norm, stops)

    return replica_step


def _make_gradients(
    state: TrainState, loss: Loss, batch_size: int, xla: bool, parts: int
) -> Callable[[Any, tf.Tensor], list[tf.Tensor]]:
    """From a replica's part of the global batch to its loss and its gradients.

    XLA compiles only this part of a step: it cannot reach variables of another device,
    so the update stays outside.
    """

    def of_part(batch, seed):
        with tf.GradientTape() as tape:
            value = global_mean(loss(state.model, batch, seed), batch_size)
            scaled = state.optimizer.scale_loss(value)
        return [value, *tape.gradient(scaled, state.model.trainable_variables)]

    @tf.function(jit_compile=xla, reduce_retracing=True)
    def gradients(batch, seed):
        if parts == 1:
            return of_part(batch, seed)
        return _summed_over_parts(of_part, batch, seed, parts)

    return gradients


def _summed_over_parts(
    function: Callable[[Any, tf.Tensor], list[tf.Tensor]],
    batch: Any,
    seed: tf.Tensor,
    parts: int,
) -> list[tf.Tensor]:
    """Sums `function(part, seed of the part)` over equal parts of a batch."""
    split = tf.nest.map_structure(
        lambda x: tf.reshape(x, [parts, -1, *x.shape[1:]]), batch
    )

    def of_part(number):
        part = tf.nest.map_structure(lambda x: x[number], split)
        return function(part, _fold_in(seed, number))

    def add(number, total):
        values = of_part(number)
        return number + 1, [a + b for a, b in zip(total, values, strict=True)]

    # Parts that were computed in parallel would all need their memory at once.
    loop = tf.while_loop(
        lambda number, total: number < parts,
        add,
        (1, of_part(0)),
        parallel_iterations=1,
    )
    return loop[1]
