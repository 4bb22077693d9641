"""Trains a network in a run directory, as all training commands do."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tf_student.runtime.run_directory import RunDirectory
from tf_student.training import loop
from tf_student.training.state import TrainState
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import TrainConfig


def train_network(
    task: loop.Task,
    make_model: Callable[[], keras.Model],
    setup: TrainRun,
    *,
    command: str,
    configs: Mapping[str, Any],
    helpers: Mapping[str, tuple[Callable[[], keras.Model], TrainConfig]] = {},
) -> TrainState:
    """Claims the directory of a run and trains from its last checkpoint, if any.

    Args:
        task: what the network learns.
        make_model: creates the network.
        setup: where and how it is trained.
        command: the command that owns the directory.
        configs: further config dataclasses of the command, by name.
        helpers: further networks that are trained beside it, as for `TrainState`.

    Returns:
        The state after the last step.

    Raises:
        InputError: if the directory belongs to another run, and as `loop.train`.
        DivergedError, Preempted, WorkerLost: as `loop.train`.
    """
    if setup.is_chief:
        own = {"train": setup.train, "run": setup.run, "log": setup.log}
        RunDirectory.claim(
            setup.directory, command, {**configs, **own}, network=task.label
        )
    state = TrainState(setup.strategy, make_model, setup.train, helpers)
    loop.train(task, state, setup)
    return state
