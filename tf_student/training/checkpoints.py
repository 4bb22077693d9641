"""Checkpoints of a training run: the last few, each written whole or not at all."""

import os
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from tf_student.runtime import devices
from tf_student.runtime.errors import InputError, first_line
from tf_student.training.state import TrainState


class Checkpoints:
    """The last few checkpoints of `state` below `directory`.

    The position in the data is not stored apart: streams are functions of the step. Of
    several workers the chief alone writes and chooses, and all of them read.
    """

    def __init__(
        self,
        state: TrainState,
        directory: str,
        keep: int,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self._state = state
        self._strategy = strategy or tf.distribute.get_strategy()
        self._manager = _manager(
            tf.train.Checkpoint(**state.trackables()), directory, keep
        )
        self._whole = None  # The step known to be on the disk as it should be.

    def restore(self) -> int:
        """Restores the last checkpoint that can be, if there is one.

        Returns:
            The number of steps done.

        Raises:
            InputError: if there are checkpoints and none of them fits.
        """
        now = int(self._state.replicas.numpy())
        chief = devices.is_chief(self._strategy)
        found = chief and _read_newest(self._manager, self._read)
        step = int(self._state.step.numpy()) if found else 0
        if devices.has_other_workers(self._strategy):
            step = devices.from_chief(self._strategy, step)
            if step and not chief:
                self._read(os.path.join(self._manager.directory, f"ckpt-{step}"))
        before = int(self._state.replicas.numpy())
        if before != now:
            logging.info("%d replicas go on where %d stopped.", now, before)
            self._state.replicas.assign(now)
        self._whole = step or None
        return step

    def _read(self, path: str) -> None:
        status = self._manager.checkpoint.restore(path)
        status.assert_existing_objects_matched().assert_consumed()

    def save(self) -> None:
        """Saves the state, unless this step is saved already."""
        step = int(self._state.step.numpy())
        if step != self._whole and devices.is_chief(self._strategy):
            self._manager.save(checkpoint_number=step)
        self._whole = step


def last_weights(directory: str, model: keras.Model) -> None:
    """Gives a network the weights, not the averaged ones, of a run's last checkpoint.

    Raises:
        InputError: if there are no checkpoints, or none of them fits.
    """
    values = tf.train.Checkpoint(model=[v.value for v in model.variables])
    manager = _manager(values, directory)

    def read(path: str) -> None:
        values.restore(path).expect_partial().assert_existing_objects_matched()

    if not _read_newest(manager, read):
        raise InputError(f"{directory} holds no checkpoints.")


def _manager(
    values: tf.train.Checkpoint, directory: str, keep: int | None = None
) -> tf.train.CheckpointManager:
    return tf.train.CheckpointManager(
        values, os.path.join(directory, "checkpoints"), max_to_keep=keep
    )


def _read_newest(
    manager: tf.train.CheckpointManager, read: Callable[[str], None]
) -> bool:
    """Reads the last checkpoint that can be; warns of each that cannot.

    Returns:
        Whether there are checkpoints.

    Raises:
        InputError: if there are some and none can be read.
    """
    first = None
    for path in _newest_first(manager):
        try:
            read(path)
        # A cut-off file is an IndexError, a flipped bit an OpError, another network an
        # AssertionError or a ValueError.
        except Exception as error:
            reason = first_line(error)
            said = f"The checkpoint {path} cannot be restored: {reason}"
            logging.warning("%s", said)
            first = first or InputError(said)
        else:
            return True
    if first:
        raise first
    return False


def _newest_first(manager: tf.train.CheckpointManager) -> list[str]:
    """The paths of all checkpoints, by TensorFlow's list or else by their steps.

    TensorFlow writes the list after the first checkpoint, and a kill may come in
    between; and it takes a damaged list for an empty one. The index is the last that it
    writes of a checkpoint, so one that is cut off was never finished.
    """
    if manager.checkpoints:
        return list(reversed(manager.checkpoints))
    found = tf.io.gfile.glob(os.path.join(manager.directory, "ckpt-*.index"))
    paths = [path.removesuffix(".index") for path in found]
    paths = [path for path in paths if _has_whole_index(path)]
    return sorted(paths, key=lambda path: -int(path.rpartition("-")[2]))


def _has_whole_index(path: str) -> bool:
    try:
        tf.train.load_checkpoint(path)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):
        return False
    return True
