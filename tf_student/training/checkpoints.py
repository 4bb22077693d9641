"""Checkpoints of a training run: the last few, each written whole or not at all."""

import os

import keras
import tensorflow as tf

from tf_student.errors import InputError
from tf_student.training.state import TrainState


class Checkpoints:
    """The last few checkpoints of `state` below `directory`.

    The position in the data is not stored apart: streams are functions of the step.
    """

    def __init__(self, state: TrainState, directory: str, keep: int):
        self._state = state
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**state.trackables()),
            os.path.join(directory, "checkpoints"),
            max_to_keep=keep,
        )

    def restore(self) -> int:
        """Restores the last checkpoint, if there is one.

        Returns:
            The number of steps done.

        Raises:
            InputError: if the checkpoint does not fit or is damaged.
        """
        path = self._manager.latest_checkpoint or self._highest()
        if path:
            try:
                status = self._manager.checkpoint.restore(path)
                status.assert_existing_objects_matched().assert_consumed()
            # A cut-off file is an IndexError, a flipped bit an OpError, another network
            # an AssertionError or a ValueError.
            except Exception as error:
                reason = str(error).strip().splitlines()[0]
                raise InputError(
                    f"The checkpoint {path} cannot be restored: {reason}"
                ) from error
        return int(self._state.step.numpy())

    def _highest(self) -> str | None:
        """The checkpoint of the highest step, where the list of them is no help.

        TensorFlow writes the list after the first checkpoint, and a kill may come in
        between; and it takes a damaged list for an empty one. The index is the last
        that it writes of a checkpoint, so one that is cut off was never finished.
        """
        found = tf.io.gfile.glob(os.path.join(self._manager.directory, "ckpt-*.index"))
        paths = [path.removesuffix(".index") for path in found]
        paths = [path for path in paths if _has_whole_index(path)]
        return max(paths, key=lambda path: int(path.rpartition("-")[2]), default=None)

    def save(self) -> None:
        """Saves the state, unless this step is saved already."""
        step = int(self._state.step.numpy())
        latest = self._manager.latest_checkpoint
        if latest is None or not latest.endswith(f"-{step}"):
            self._manager.save(checkpoint_number=step)


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
