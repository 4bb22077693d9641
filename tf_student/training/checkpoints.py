"""Checkpoints of a training run: the most recent ones, each written atomically."""

import os
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from tf_student.runtime import devices, paths
from tf_student.runtime.errors import InputError, first_line
from tf_student.training.checkpoint_files import CheckpointFiles
from tf_student.training.state import TrainState


class Checkpoints:
    """The most recent checkpoints of a state.

    They do not store the position in the data: streams are functions of the step. Only
    the chief writes checkpoints and chooses the one to restore; all workers read it.

    Args:
        state: what is saved and restored.
        directory: the run's directory; the files are in `checkpoints/` below it.
        keep: number of checkpoints to keep.
        strategy: the workers of the run; by default the current strategy.
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
        self._checkpoint = tf.train.Checkpoint(**state.trackables())
        self._files, self._keep = _files(directory), keep
        self._saved_step: int | None = None  # Known to be intact on disk.

    def restore(self) -> int:
        """Restores the newest readable checkpoint, if the run has one.

        Returns:
            The number of steps done; 0 without checkpoints.

        Raises:
            InputError: if checkpoints exist and none of them can be restored.
        """
        replicas = int(self._state.replicas.numpy())
        step = self._restore_on_all_workers()
        replicas_before = int(self._state.replicas.numpy())
        if replicas_before != replicas:
            logging.info(
                "Resuming with %d replicas; the checkpoint was written by %d.",
                replicas,
                replicas_before,
            )
            self._state.replicas.assign(replicas)
        self._saved_step = step or None
        return step

    def _restore_on_all_workers(self) -> int:
        chief = devices.is_chief(self._strategy)
        if chief:
            self._files.remove_leftovers()
        restored = chief and _read_newest(self._files, self._read)
        step = int(self._state.step.numpy()) if restored else 0
        if devices.has_other_workers(self._strategy):
            step = devices.from_chief(self._strategy, step)
            if step and not chief:
                self._read(self._files.path(step))
        return step

    def _read(self, path: str) -> None:
        status = self._checkpoint.restore(path)
        status.assert_existing_objects_matched().assert_consumed()

    def save(self) -> None:
        """Saves the state, unless this step is already saved."""
        step = int(self._state.step.numpy())
        if step != self._saved_step and devices.is_chief(self._strategy):
            # As `CheckpointManager` of TensorFlow, whose files these are.
            self._checkpoint.save_counter.assign_add(1)
            self._write(step)
            self._files.keep(step, self._keep)
        self._saved_step = step

    def _write(self, step: int) -> None:
        try:
            self._checkpoint.write(self._files.path(step))
        # The disk may be full.
        except tf.errors.OpError:
            self._files.remove_leftovers()
            raise


def last_weights(directory: str, model: keras.Model) -> None:
    """Loads the trained weights, not the EMA weights, of a run's last checkpoint.

    Args:
        directory: the run's directory.
        model: a network of the run's architecture, whose weights are assigned.

    Raises:
        InputError: if the run has no checkpoints, or none of them fits.
    """
    paths.check_restorable(directory)
    values = tf.train.Checkpoint(model=[v.value for v in model.variables])

    def read(path: str) -> None:
        values.restore(path).expect_partial().assert_existing_objects_matched()

    if not _read_newest(_files(directory), read):
        raise InputError(f"{directory} holds no checkpoints.")


def _files(directory: str) -> CheckpointFiles:
    return CheckpointFiles(os.path.join(directory, "checkpoints"))


def _read_newest(checkpoints: CheckpointFiles, read: Callable[[str], None]) -> bool:
    """Reads the newest readable checkpoint and warns of each unreadable one.

    Returns:
        Whether checkpoints exist.

    Raises:
        InputError: if checkpoints exist and none can be read.
    """
    first_error = None
    for path in checkpoints.newest_first():
        try:
            read(path)
        # TensorFlow raises an IndexError for a truncated file, an OpError for a flipped
        # bit, and an AssertionError or a ValueError for another network.
        except Exception as error:
            message = f"The checkpoint {path} cannot be restored: {first_line(error)}"
            logging.warning("%s", message)
            first_error = first_error or InputError(message)
        else:
            return True
    if first_error:
        raise first_error
    return False
