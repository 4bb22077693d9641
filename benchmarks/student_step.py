"""The training steps of a student, which several benchmarks time or measure."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data import images
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.training import match_draws, match_phases, phases
from tf_student.training.match_config import MatchConfig
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step
from tf_student.training.student_task import student_loss
from tf_student.training.training_config import TrainConfig


def make_step(
    config: UNetConfig,
    train: TrainConfig,
    *,
    xla: bool = False,
    recompute: bool = False,
    replicas: int = 1,
) -> Callable[[], float]:
    """Builds a training step on CPU devices, with the L1 loss.

    Args:
        config: the architecture; weights are random.
        train: batch size and optimizer.
        xla: whether to compile with XLA.
        recompute: whether to use gradient checkpointing.
        replicas: number of devices, each of which gets a part of the batch.

    Returns:
        A function that takes a step on a constant batch and returns the loss when the
        step is done. The first call traces the step.
    """
    strategy = devices.make_strategy([f"CPU:{i}" for i in range(replicas)])
    state = TrainState(
        strategy, lambda: Student(UNet(config, recompute=recompute)), train
    )

    def loss(model, pair, seed):
        return student_loss(model, pair, seed, distance="l1")

    step = make_train_step(
        strategy,
        state,
        phases.single(state, loss, train.clip_norm),
        config=train,
        xla=xla,
    )
    z = tf.random.normal([train.batch_size, *config.image_shape])
    parts = [(part, images.to_uint8(part)) for part in tf.split(z, replicas)]
    pair = strategy.experimental_distribute_values_from_function(
        lambda context: parts[context.replica_id_in_sync_group]
    )
    return lambda: float(step(pair, tf.constant(0.0)).values["loss"])


def make_matching_step(
    config: UNetConfig,
    train: TrainConfig,
    match: MatchConfig,
    *,
    recompute: bool = False,
) -> Callable[[], float]:
    """Builds a step of distribution matching on one CPU device, as `make_step`.

    Args:
        config: the architecture; weights are random.
        train: batch size and optimizer of the student.
        match: the objective, and the weight of the regression on pairs.
        recompute: whether to use gradient checkpointing.
    """
    strategy = devices.make_strategy(["CPU:0"])
    config = dataclasses.replace(config, dropout=0.0)

    def unet() -> UNet:
        return UNet(config, recompute=recompute)

    state = TrainState(
        strategy,
        lambda: Student(unet()),
        train,
        {match_phases.FAKE: (unet, match.fake_training(train))},
    )
    with strategy.scope():
        teacher = unet()
    start = match_phases.Measures(0.0, 0.0)
    steps = match_phases.MatchPhases(state, teacher, match, start).all(0.0)
    step = make_train_step(strategy, state, steps, config=train, xla=False)
    shape, diffusion = config.image_shape, state.model.diffusion
    key, count = tf.constant([0, 0]), (train.batch_size,)
    batch = {
        "z": tf.random.normal([*count, *shape]),
        "draws": match_draws.draw(key, shape, match, diffusion, count=count),
    }
    if match.regression:
        batch["pair_z"] = tf.random.normal([*count, *shape])
        batch["pair_image"] = images.to_uint8(batch["pair_z"])
    return lambda: float(step(batch, tf.constant(0.0)).values["loss"])
