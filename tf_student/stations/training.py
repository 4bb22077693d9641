"""A run that trains a network, as the stations of teacher and student share it."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tf_student import run_directory
from tf_student.config import LogConfig, RunConfig, TrainConfig
from tf_student.training import distribute
from tf_student.training.loop import Task, train
from tf_student.training.state import TrainState


def train_network(
    task: Task,
    make_model: Callable[[], keras.Model],
    directory: str,
    *,
    station: str,
    configs: dict[str, Any],
    strategy: tf.distribute.Strategy,
    config: TrainConfig,
    run: RunConfig,
    log: LogConfig,
    progress: bool = False,
) -> TrainState:
    """Claims the directory and trains there, from the last checkpoint if there is one.

    Args:
        task: what is to be learnt.
        make_model: makes the network and its averaged twin.
        directory: of the run.
        station: the command that owns it.
        configs: what the run is, beside `config`, `run` and `log`; by name.
        strategy: the devices.
        config, run, log, progress: as `tf_student.training.loop.train` has them.

    Returns:
        The state after the last step.

    Raises:
        InputError: if the directory belongs to another run; or as `train`.
    """
    if distribute.is_chief(strategy):
        configs = {**configs, "train": config, "run": run, "log": log}
        run_directory.claim(directory, station, configs)
    state = TrainState(strategy, make_model, config)
    train(
        task,
        state,
        directory,
        strategy=strategy,
        config=config,
        run=run,
        log=log,
        progress=progress,
    )
    return state
