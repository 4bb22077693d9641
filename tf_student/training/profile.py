"""Runs TensorFlow's profiler over a few steps of a run."""

import os

import tensorflow as tf


class Profile:
    """Records from the beginning of one step to the end of another, for TensorBoard.

    Args:
        directory: the run's directory; the recording goes to `logs/` below it.
        steps: first and last step to record, counted from 1. If it is empty, nothing is
            recorded.
    """

    def __init__(self, directory: str, steps: tuple[int, ...]):
        self._logs = os.path.join(directory, "logs")
        self._first, self._last = steps or (0, 0)
        self._recording = False

    def begin(self, step: int) -> None:
        """Starts recording at the first step to record; call it before each step."""
        if step == self._first:
            tf.profiler.experimental.start(self._logs)
            self._recording = True

    def end(self, step: int) -> None:
        """Stops recording after the last step to record; call it after each step."""
        if self._recording and step >= self._last:
            self.close()

    def close(self) -> None:
        """Stops recording and writes the file."""
        if self._recording:
            self._recording = False
            tf.profiler.experimental.stop()
