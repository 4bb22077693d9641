"""A run that trains a network, as teacher and student share it."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.training.loop import Task, train
from tf_student.training.state import TrainState
from tf_student.training.training_config import LogConfig, TrainConfig


@dataclasses.dataclass(frozen=True)
class TrainRun:
    """Where and how a network is trained.

    Attributes:
        directory: of the run.
        command: that owns the directory.
        network: what it will hold: `teacher` or `student`.
        configs: further config dataclasses of the run, by name.
        train, run, log: how to train, how to use the devices, how often to report.
        progress: whether to draw a progress bar on stderr.
    """

    directory: str
    command: str
    network: str
    configs: Mapping[str, Any]
    train: TrainConfig
    run: RunConfig
    log: LogConfig
    progress: bool = False


def train_network(
    task: Task,
    make_model: Callable[[], keras.Model],
    setup: TrainRun,
    strategy: tf.distribute.Strategy,
) -> TrainState:
    """Claims the directory and trains there, from the last checkpoint if there is one.

    Args:
        task: what is to be learnt.
        make_model: creates the network and the network of the EMA weights.
        setup: where and how.
        strategy: the devices.

    Returns:
        The state after the last step.

    Raises:
        InputError: if the directory belongs to another run; or as `loop.train`.
    """
    if devices.is_chief(strategy):
        own = {"train": setup.train, "run": setup.run, "log": setup.log}
        RunDirectory.claim(
            setup.directory,
            setup.command,
            {**setup.configs, **own},
            network=setup.network,
        )
    state = TrainState(strategy, make_model, setup.train)
    train(
        task,
        state,
        setup.directory,
        strategy=strategy,
        config=setup.train,
        run=setup.run,
        log=setup.log,
        progress=setup.progress,
    )
    return state
