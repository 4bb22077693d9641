"""Checkpoints of a training run: the most recent ones, each written atomically."""

import os
from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

from tf_student.runtime import devices, leftovers, paths
from tf_student.runtime.errors import InputError, first_line
from tf_student.training.checkpoint_files import CheckpointFiles, step_of
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
        self._interim = _interim(directory)
        self._saved_step: int | None = None  # Known to be intact on disk.
        self._interim_step: int | None = None

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
        self._saved_step = None if self.unevaluated else step or None
        return step

    @property
    def unevaluated(self) -> bool:
        """Whether the restored step was saved before its evaluation."""
        return self._interim_step is not None

    def _restore_on_all_workers(self) -> int:
        chief = devices.is_chief(self._strategy)
        if chief:
            self._files.remove_leftovers()
        path = _read_newest(self._files, self._interim, self._read) if chief else None
        step = int(self._state.step.numpy()) if path else 0
        interim = path is not None and path == self._interim.path(step)
        if chief and not interim:
            # A kill may have left one that another has replaced.
            leftovers.remove_path(self._interim.directory)
        if devices.has_other_workers(self._strategy):
            step = devices.from_chief(self._strategy, step)
            interim = bool(devices.from_chief(self._strategy, int(interim)))
            if step and not chief:
                self._read((self._interim if interim else self._files).path(step))
        self._interim_step = step if interim else None
        return step

    def _read(self, path: str) -> None:
        status = self._checkpoint.restore(path)
        status.assert_existing_objects_matched().assert_consumed()

    def save(self) -> None:
        """Saves the state, unless this step is already saved."""
        step = int(self._state.step.numpy())
        if step != self._saved_step and devices.is_chief(self._strategy):
            self._write(self._files, step)
            self._files.keep(step, self._keep)
            if self.unevaluated:
                leftovers.remove_path(self._interim.directory)
        self._saved_step, self._interim_step = step, None

    def save_unevaluated(self) -> None:
        """Saves the state of a step whose evaluation was interrupted.

        The next process evaluates it first. Only the chief evaluates and calls this.
        """
        step = int(self._state.step.numpy())
        if step != self._interim_step:
            self._write(self._interim, step)
            self._interim_step = step

    def _write(self, files: CheckpointFiles, step: int) -> None:
        # As `CheckpointManager` of TensorFlow, whose files these are.
        self._checkpoint.save_counter.assign_add(1)
        try:
            self._checkpoint.write(files.path(step))
        # The disk may be full.
        except tf.errors.OpError:
            files.remove_leftovers()
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

    if not _read_newest(_files(directory), _interim(directory), read):
        raise InputError(f"{directory} holds no checkpoints.")


def _files(directory: str) -> CheckpointFiles:
    return CheckpointFiles(os.path.join(directory, "checkpoints"))


def _interim(directory: str) -> CheckpointFiles:
    """The checkpoint of a step whose evaluation was interrupted, if there is one."""
    return CheckpointFiles(os.path.join(directory, "checkpoints", "unevaluated"))


def _read_newest(
    checkpoints: CheckpointFiles, interim: CheckpointFiles, read: Callable[[str], None]
) -> str | None:
    """Reads the newest readable checkpoint and warns of each unreadable one.

    Args:
        checkpoints: of evaluated steps.
        interim: of a step that was not evaluated; a later one replaces it.
        read: reads a checkpoint.

    Returns:
        The path of the checkpoint; None if there are none.

    Raises:
        InputError: if checkpoints exist and none can be read.
    """
    first_error, found = None, checkpoints.newest_first()
    for path in interim.newest_first():
        older = [i for i, p in enumerate(found) if step_of(p) < step_of(path)]
        if older or not found:
            found.insert(min(older, default=0), path)
    for path in found:
        try:
            read(path)
        # TensorFlow raises an IndexError for a truncated file, an OpError for a flipped
        # bit, and an AssertionError or a ValueError for another network.
        except Exception as error:
            message = f"The checkpoint {path} cannot be restored: {first_line(error)}"
            logging.warning("%s", message)
            first_error = first_error or InputError(message)
        else:
            return path
    if first_error:
        raise first_error
    return None
