"""The training loop that teacher and student share."""

import math
from typing import Any, Protocol

import keras
import tensorflow as tf

from tf_student import streams
from tf_student.config import LogConfig, RunConfig, TrainConfig
from tf_student.errors import DivergedError, Preempted
from tf_student.training.checkpoints import Checkpoints
from tf_student.training.distribute import distribute, use_xla
from tf_student.training.preemption import StopSignal
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step


class Task(Protocol):
    """What is to be learnt: the only difference between teacher and student."""

    label: str

    def examples(self, start: int) -> tf.data.Dataset:
        """Endless examples from position `start` on; a function of it alone."""

    def loss(self, model: keras.Model, batch: Any, seed: tf.Tensor) -> tf.Tensor:
        """Losses `[examples]` of a part of a batch, in training mode."""

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Reports how good the averaged weights are, and keeps them if the best."""

    def diagnose(self) -> None:
        """Raises an `InputError` that names the damaged input, if one is."""


def train(
    task: Task,
    state: TrainState,
    directory: str,
    *,
    strategy: tf.distribute.Strategy,
    config: TrainConfig,
    run: RunConfig,
    log: LogConfig,
    progress: bool = False,
) -> None:
    """Trains to `config.steps`, from the last checkpoint if there is one.

    Raises:
        DivergedError: if a loss is not finite. The last checkpoint stays.
        Preempted: on SIGTERM, after saving.
        InputError: if an input is damaged or a checkpoint cannot be restored.
    """
    checkpoints = Checkpoints(state, directory, log.checkpoints)
    start = checkpoints.restore()
    if start >= config.steps:
        return
    step_fn = make_train_step(
        strategy, state, task.loss, config=config, xla=use_xla(run.xla)
    )
    first = start * config.batch_size
    batches = iter(
        distribute(strategy, lambda: task.examples(first), config.batch_size)
    )
    reporter = Reporter(
        directory, start=start, total=config.steps, label=task.label, progress=progress
    )
    pending = []  # Results not yet fetched, so that the host never waits for a step.
    try:
        with StopSignal() as stop:
            for step in range(start + 1, config.steps + 1):
                with streams.diagnosed(task.diagnose):
                    batch = next(batches)
                pending.append(step_fn(batch))
                reporter.advance()
                # Looked at once: what arrives later waits for the next step's save.
                stopping = stop.received and step < config.steps
                end = stopping or step == config.steps
                saves = end or step % log.checkpoint_every == 0
                looks = step % log.evaluate_every == 0 or step == config.steps
                if saves or looks or step % log.log_every == 0:
                    _report(reporter, state, step, pending)
                    pending = []
                if looks:
                    with streams.diagnosed(task.diagnose):
                        task.evaluate(state, reporter)
                if saves:
                    checkpoints.save()
                if stopping:
                    raise Preempted(f"Saved step {step} of {config.steps}.")
    finally:
        reporter.close()


def _report(reporter: Reporter, state: TrainState, step: int, pending: list) -> None:
    """Fetches the results since the last report; refuses what is not finite."""
    losses = [float(loss) for loss, _ in pending]
    norms = [float(norm) for _, norm in pending]
    for i, number in enumerate(range(step - len(pending) + 1, step + 1)):
        _refuse_not_finite("loss", losses[i], number)
        # Such a gradient spoils the weights a step before the loss shows it.
        _refuse_not_finite("gradient norm", norms[i], number)
    values = {
        "loss": sum(losses) / len(losses),
        "gradient_norm": norms[-1],
        "learning_rate": float(state.optimizer.learning_rate),
        "steps_per_second": reporter.rate(step),
    }
    reporter.scalars(step, values)


def _refuse_not_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"The {name} became {value} at step {step}. The last checkpoint before it "
            "is kept; a lower learning_rate may help."
        )
