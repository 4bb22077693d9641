"""TensorFlow's profiler over a few steps of a run."""

import os

import tensorflow as tf


class Profile:
    """Records from the beginning of one step to the end of another, for TensorBoard.

    Args:
        directory: the run's; the recording is below its `logs/`.
        steps: first and last step, counted from 1; nothing is recorded if empty.
    """

    def __init__(self, directory: str, steps: tuple[int, ...]):
        self._logs = os.path.join(directory, "logs")
        self._first, self._last = steps or (0, 0)
        self._runs = False

    def begin(self, step: int) -> None:
        """To be called before a step."""
        if step == self._first:
            tf.profiler.experimental.start(self._logs)
            self._runs = True

    def end(self, step: int) -> None:
        """To be called when a step is done."""
        if self._runs and step >= self._last:
            self.close()

    def close(self) -> None:
        """Writes what was recorded."""
        if self._runs:
            self._runs = False
            tf.profiler.experimental.stop()
