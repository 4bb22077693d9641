"""Reports the progress of a run: metrics.jsonl, TensorBoard, a progress bar."""

import json
import os
import sys
import time

import numpy as np
import tensorflow as tf
from absl import logging

from tf_student.data import grids
from tf_student.runtime import files
from tf_student.runtime.progress import bar as progress_bar

METRICS = "metrics.jsonl"


class Reporter:
    """Writes scalars and image grids to the directory of a run.

    Args:
        directory: gets `metrics.jsonl`, the grids and TensorBoard's `logs/`.
        start: steps done before. Metrics of later steps, which an interrupted process
            wrote, are removed.
        unevaluated: whether the evaluation of step `start` is to be repeated, so that
            its metrics are removed too.
        total: the last step of the run.
        label: name on the progress bar.
        progress: whether to draw a progress bar on stderr.
        writes: whether to write files. Only one worker does.
    """

    def __init__(
        self,
        directory: str,
        *,
        start: int,
        total: int,
        label: str,
        progress: bool,
        writes: bool = True,
        unevaluated: bool = False,
    ):
        self._directory = directory
        self._writes = writes
        self._path = os.path.join(directory, METRICS)
        self._writer = tf.summary.create_noop_writer()
        if writes:
            self._keep_until(start, unevaluated)
            logs = os.path.join(directory, "logs")
            self._writer = tf.summary.create_file_writer(logs)
        self._bar = progress_bar(
            total=total, done=start, label=label, unit="step", enabled=progress
        )
        self._last = (start, time.monotonic())

    def advance(self) -> None:
        """Advances the progress bar by one step."""
        self._bar.update()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Records named numbers of a step."""
        losses = {k: f"{v:.4g}" for k, v in values.items() if k.endswith("loss")}
        self._bar.set_postfix(losses, refresh=False)
        if not self._writes:
            return
        with tf.io.gfile.GFile(self._path, "a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        with self._writer.as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def rate(self, step: int) -> float:
        """Returns the steps per second since the last call."""
        last_step, last_time = self._last
        self._last = (step, time.monotonic())
        return (step - last_step) / max(self._last[1] - last_time, 1e-9)

    def say(self, message: str, *values: object) -> None:
        """Logs a line without breaking the progress bar."""
        with self._bar.external_write_mode(file=sys.stderr):
            logging.info(message, *values)

    def grid(self, step: int, name: str, sheet: np.ndarray) -> None:
        """Records an image grid, uint8 `[height, width, channels]`."""
        path = os.path.join(self._directory, f"{name}.png")
        grids.write_png(path, sheet, width=512)
        with self._writer.as_default(step):
            tf.summary.image(name, sheet[None])

    def close(self) -> None:
        """Closes the progress bar and flushes TensorBoard's files."""
        self._bar.close()
        self._writer.close()

    def _keep_until(self, step: int, unevaluated: bool) -> None:
        if not tf.io.gfile.exists(self._path):
            return
        lines = read_metrics(self._directory)
        kept = [line for line in lines if line["step"] < step]
        # The losses of the step itself precede its evaluation.
        of_step = [line for line in lines if line["step"] == step]
        kept += of_step[:1] if unevaluated else of_step
        files.write_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))


def read_metrics(directory: str) -> list[dict[str, float]]:
    """Reads the lines of a run's metrics.jsonl, without lines that a kill truncated."""
    content = b"".join(files.blocks(os.path.join(directory, METRICS)))
    values = []
    for line in content.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            values.append(value)
    return values
