"""Trains a network in a run directory, as all training commands do."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_student.models import weights_file
from tf_student.runtime import leftovers, paths, run_directory
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory
from tf_student.training import loop, reporter
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
        InputError: if the directory belongs to another run, or another process trains
            in it, and as `loop.train`. A directory that was new is then not claimed.
        DivergedError, Preempted, WorkerLost: as `loop.train`.
    """
    own = {"train": setup.train, "run": setup.run, "log": setup.log}
    with _claimed(setup, command, {**configs, **own}, task.label):
        state = TrainState(setup.strategy, make_model, setup.train, helpers)
        loop.train(task, state, setup)
    return state


@contextlib.contextmanager
def _claimed(
    setup: TrainRun, command: str, configs: Mapping[str, Any], network: str
) -> Iterator[None]:
    """Holds the directory of the run for this process; of several workers, the chief's.

    Raises:
        InputError: if it belongs to another run, or another process writes to it.
    """
    if not setup.is_chief:
        yield
        return
    directory = setup.directory
    missing = list(leftovers.missing(directory))
    config = os.path.join(directory, run_directory.CONFIG)
    new = not tf.io.gfile.exists(config)
    tf.io.gfile.makedirs(directory)
    with leftovers.locked(directory):
        RunDirectory.claim(directory, command, configs, network=network)
        leftovers.remove(directory, _is_own)
        try:
            yield
        except InputError:
            # Refused before anything was learned: other options may follow.
            if new and paths.listdir(directory) == [run_directory.CONFIG]:
                leftovers.remove_path(config)
                for folder in missing:
                    leftovers.remove_if_empty(folder)
            raise


def _is_own(name: str) -> bool:
    """Whether training writes a file of this name."""
    # The tasks name the image grids.
    return name.endswith(".png") or name in (
        run_directory.CONFIG,
        weights_file.MODEL,
        reporter.METRICS,
    )
