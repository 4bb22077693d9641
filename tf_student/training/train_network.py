"""Trains a network in a run directory, as all training commands do."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_student.models import weights_file
from tf_student.runtime import leftovers, run_directory
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
            in it, and as `loop.train`.
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
    tf.io.gfile.makedirs(setup.directory)
    with leftovers.locked(setup.directory):
        RunDirectory.claim(setup.directory, command, configs, network=network)
        leftovers.remove(setup.directory, _is_own)
        yield


def _is_own(name: str) -> bool:
    """Whether training writes a file of this name."""
    # The tasks name the image grids.
    return name.endswith(".png") or name in (
        run_directory.CONFIG,
        weights_file.MODEL,
        reporter.METRICS,
    )
