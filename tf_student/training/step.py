"""One optimizer step over all replicas."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_student.diffusion.losses import global_mean
from tf_student.training import ema
from tf_student.training.phases import Phase
from tf_student.training.state import TrainState
from tf_student.training.training_config import TrainConfig

_fold_in = tf.random.experimental.stateless_fold_in

# What a phase sums over the examples: its metrics by name, and its gradients.
Sums = tuple[dict[str, tf.Tensor], list[tf.Tensor]]
Carried = Mapping[str, tf.Tensor]


class Outcome(NamedTuple):
    """The results of a step: scalars that are the same on every replica.

    Attributes:
        values: means over the global batch by name; among them, for each phase, its
            `loss`, and its `gradient_norm` before clipping.
        stops: number of replicas that were asked to stop.
    """

    values: dict[str, tf.Tensor]
    stops: tf.Tensor


def make_train_step(
    strategy: tf.distribute.Strategy,
    state: TrainState,
    phases: Sequence[Phase],
    *,
    config: TrainConfig,
    xla: bool,
    parts: int = 1,
) -> Callable[[Any, tf.Tensor], Outcome]:
    """Builds the compiled training step.

    Args:
        strategy: each of its replicas gets a part of the batch.
        state: what the step updates. A network whose scaled gradients are not finite
            is not updated; the EMA weights and the step count are.
        phases: the updates, in their order.
        config: the global batch size, the EMA decay and the seed.
        xla: whether to compile with XLA.
        parts: gradient accumulation: number of parts that a replica's batch is split
            into, which are computed one after the other to save memory.

    Returns:
        A function of a distributed batch and of a float32 scalar, which is 1 if this
        process was asked to stop. It does not wait.
    """
    replica_step = _make_replica_step(state, phases, config, xla, parts)

    @tf.function(autograph=False)
    def step(batch, stop):
        outcome = strategy.run(replica_step, args=(batch, stop))
        ema.update(
            strategy,
            state.ema.trainable_variables,
            state.model.trainable_variables,
            config.ema_decay,
        )
        state.step.assign_add(1)
        local = strategy.experimental_local_results
        outcome = tf.nest.map_structure(lambda value: local(value)[0], outcome)
        norms = [outcome.values[phase.metric("gradient_norm")] for phase in phases]
        finite = tf.reduce_all(tf.math.is_finite(norms))
        state.skipped.assign_add(tf.where(finite, tf.constant(0, tf.int64), 1))
        return outcome

    return step


def _make_replica_step(
    state: TrainState,
    phases: Sequence[Phase],
    config: TrainConfig,
    xla: bool,
    parts: int,
) -> Callable[[Any, tf.Tensor], Outcome]:
    """From a replica's batch to updates with the gradients of the global batch."""
    functions = [_make_gradients(p, config.batch_size, xla, parts) for p in phases]

    def replica_step(batch, stop):
        context = tf.distribute.get_replica_context()
        seed = tf.constant([config.seed % 2**31, 0], tf.int32)
        step = tf.cast(state.step.read_value(), tf.int32)
        seed = _fold_in(_fold_in(seed, step), context.replica_id_in_sync_group)
        # The argument is not on the replica's device, so it cannot be summed itself.
        outcome = Outcome({}, context.all_reduce("SUM", tf.identity(stop)))
        carried, done = {}, []
        for phase, gradients in zip(phases, functions, strict=True):
            # Phases that were computed in parallel would all need their memory at once.
            with tf.control_dependencies(done):
                sums, more = gradients(batch, carried, seed)
            values, grads = _all_reduced(context, sums)
            values["gradient_norm"] = _apply(phase, grads)
            done = [values["gradient_norm"]]
            carried |= more
            outcome.values.update({phase.metric(k): v for k, v in values.items()})
        return outcome

    return replica_step


def _all_reduced(context: tf.distribute.ReplicaContext, sums: Sums) -> Sums:
    """The sums over all replicas, which one reduction computes."""
    if context.num_replicas_in_sync == 1:
        return sums
    reduced = context.all_reduce("SUM", tf.nest.flatten(sums))
    return tf.nest.pack_sequence_as(sums, reduced)


def _apply(phase: Phase, grads: list[tf.Tensor]) -> tf.Tensor:
    """Updates the network of a phase; returns the norm of its gradients."""
    network, optimizer = phase.learner
    norm = tf.linalg.global_norm(grads)
    # Of these gradients: the update may change it.
    scale = optimizer.scale_loss(1.0)
    if phase.clip_norm:
        grads, _ = tf.clip_by_global_norm(grads, phase.clip_norm * scale, norm)
    optimizer.apply(grads, network.trainable_variables)
    return norm / scale


def _make_gradients(
    phase: Phase, batch_size: int, xla: bool, parts: int
) -> Callable[[Any, Carried, tf.Tensor], tuple[Sums, Carried]]:
    """From a replica's part of the global batch to its metrics and its gradients.

    XLA compiles only this part of a step: it cannot reach variables of another device,
    so the update stays outside.
    """
    network, optimizer = phase.learner

    def of_part(batch, carried, seed):
        with tf.GradientTape() as tape:
            found = phase.loss(batch, carried, seed)
            value = global_mean(found.losses, batch_size)
            scaled = optimizer.scale_loss(value)
        values = {k: global_mean(v, batch_size) for k, v in found.metrics.items()}
        grads = tape.gradient(scaled, network.trainable_variables)
        # A table's gradient has rows that repeat, which norms and loops do not add up.
        grads = [tf.convert_to_tensor(gradient) for gradient in grads]
        return ({"loss": value, **values}, grads), dict(found.carried)

    def gradients(batch, carried, seed):
        if parts == 1:
            return of_part(batch, carried, seed)
        return _over_parts(of_part, (batch, carried), seed, parts)

    if not xla:
        return gradients
    return tf.function(
        gradients, autograph=False, jit_compile=True, reduce_retracing=True
    )


def _over_parts(
    function: Callable[[Any, Carried, tf.Tensor], tuple[Sums, Carried]],
    inputs: tuple[Any, Carried],
    seed: tf.Tensor,
    parts: int,
) -> tuple[Sums, Carried]:
    """Sums over equal parts of a batch, and what they carry, joined again."""
    split = tf.nest.map_structure(
        lambda x: tf.reshape(x, [parts, -1, *x.shape[1:]]), inputs
    )

    def of_part(number):
        batch, carried = tf.nest.map_structure(lambda x: x[number], split)
        return function(batch, carried, _fold_in(seed, number))

    def add(number, total, arrays):
        sums, carried = of_part(number)
        total = tf.nest.map_structure(tf.add, total, sums)
        return number + 1, total, _written(arrays, number, carried)

    total, carried = of_part(0)
    arrays = {k: tf.TensorArray(v.dtype, parts) for k, v in carried.items()}
    # Parts that were computed in parallel would all need their memory at once.
    _, total, arrays = tf.while_loop(
        lambda number, *_: number < parts,
        add,
        (1, total, _written(arrays, 0, carried)),
        parallel_iterations=1,
    )
    return total, {
        k: tf.reshape(array.stack(), [-1, *carried[k].shape[1:]])
        for k, array in arrays.items()
    }


def _written(
    arrays: dict[str, tf.TensorArray], number: tf.Tensor | int, values: Carried
) -> dict[str, tf.TensorArray]:
    return {k: array.write(number, values[k]) for k, array in arrays.items()}
