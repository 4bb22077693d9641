"""Checkpoints of a training run: the last few, each written whole or not at all."""

import os

import keras
import tensorflow as tf
from absl import logging

from tf_student.errors import InputError
from tf_student.training import distribute
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
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**state.trackables()),
            os.path.join(directory, "checkpoints"),
            max_to_keep=keep,
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
        chief = distribute.is_chief(self._strategy)
        step = self._restore_newest() if chief else 0
        if distribute.has_other_workers(self._strategy):
            step = distribute.from_chief(self._strategy, step)
            if step and not chief:
                self._read(os.path.join(self._manager.directory, f"ckpt-{step}"))
        before = int(self._state.replicas.numpy())
        if before != now:
            logging.info("%d replicas go on where %d stopped.", now, before)
            self._state.replicas.assign(now)
        self._whole = step or None
        return step

    def _restore_newest(self) -> int:
        first = None
        for path in self._newest_first():
            try:
                self._read(path)
            # A cut-off file is an IndexError, a flipped bit an OpError, another network
            # an AssertionError or a ValueError.
            except Exception as error:
                reason = str(error).strip().splitlines()[0]
                said = f"The checkpoint {path} cannot be restored: {reason}"
                logging.warning("%s", said)
                first = first or InputError(said)
            else:
                return int(self._state.step.numpy())
        if first:
            raise first
        return 0

    def _read(self, path: str) -> None:
        status = self._manager.checkpoint.restore(path)
        status.assert_existing_objects_matched().assert_consumed()

    def _newest_first(self) -> list[str]:
        """The paths of all checkpoints, by TensorFlow's list or else by their steps.

        TensorFlow writes the list after the first checkpoint, and a kill may come in
        between; and it takes a damaged list for an empty one. The index is the last
        that it writes of a checkpoint, so one that is cut off was never finished.
        """
        if self._manager.checkpoints:
            return list(reversed(self._manager.checkpoints))
        found = tf.io.gfile.glob(os.path.join(self._manager.directory, "ckpt-*.index"))
        paths = [path.removesuffix(".index") for path in found]
        paths = [path for path in paths if _has_whole_index(path)]
        return sorted(paths, key=lambda path: -int(path.rpartition("-")[2]))

    def save(self) -> None:
        """Saves the state, unless this step is saved already."""
        step = int(self._state.step.numpy())
        if step != self._whole and distribute.is_chief(self._strategy):
            self._manager.save(checkpoint_number=step)
        self._whole = step


def last_weights(directory: str, model: keras.Model) -> None:
    """Gives a network the weights, not the averaged ones, of a run's last checkpoint.

    Raises:
        InputError: if there is no checkpoint, or it does not fit or is damaged.
    """
    path = tf.train.latest_checkpoint(os.path.join(directory, "checkpoints"))
    if path is None:
        raise InputError(f"{directory} holds no checkpoints.")
    values = tf.train.Checkpoint(model=[v.value for v in model.variables])
    try:
        values.restore(path).expect_partial().assert_existing_objects_matched()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"The checkpoint {path} cannot be restored: {reason}"
        ) from error


def _has_whole_index(path: str) -> bool:
    try:
        tf.train.load_checkpoint(path)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError):
        return False
    return True
