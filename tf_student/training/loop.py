"""The training loop that teacher and student share."""

import contextlib
import functools
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from tf_student.data import streams
from tf_student.runtime import devices
from tf_student.runtime.errors import Preempted, WorkerLost
from tf_student.runtime.preemption import StopSignal
from tf_student.runtime.run_config import RunConfig
from tf_student.training.batches import distribute
from tf_student.training.checkpoints import Checkpoints
from tf_student.training.profile import Profile
from tf_student.training.reporter import Reporter
from tf_student.training.results import Results
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step
from tf_student.training.training_config import LogConfig, TrainConfig


class Task(Protocol):
    """What is to be learnt: the only difference between teacher and student."""

    label: str

    def examples(self, start: int, part: streams.Part) -> tf.data.Dataset:
        """A worker's part of the endless examples from position `start` on.

        They are a function of the position alone.
        """

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

    Of several workers the chief alone evaluates and writes.

    Raises:
        DivergedError: if a loss is not finite. The last checkpoint stays.
        Preempted: on SIGTERM to any worker, after saving.
        WorkerLost: if another worker went away.
        InputError: if an input is damaged or a checkpoint cannot be restored.
    """
    chief = devices.is_chief(strategy)
    checkpoints = Checkpoints(state, directory, log.checkpoints, strategy)
    start = checkpoints.restore()
    if start >= config.steps:
        return
    examples = functools.partial(task.examples, start * config.batch_size)
    batches = iter(
        distribute(strategy, examples, config.batch_size, parts=run.accumulate)
    )
    take_step = make_train_step(
        strategy,
        state,
        task.loss,
        config=config,
        xla=devices.use_xla(run.xla),
        parts=run.accumulate,
    )
    reporter = Reporter(
        directory,
        start=start,
        total=config.steps,
        label=task.label,
        progress=progress and chief,
        writes=chief,
    )
    profile = Profile(directory, log.profile_steps if chief else ())
    results = Results(reporter, state, config.batch_size)
    with (
        contextlib.closing(reporter),
        contextlib.closing(profile),
        StopSignal() as stop,
        _others_needed(strategy),
    ):
        for step in range(start + 1, config.steps + 1):
            with streams.diagnosed(task.diagnose):
                batch = next(batches)
            profile.begin(step)
            results.add(take_step(batch, tf.constant(float(stop.received))))
            if step == start + 1:
                results.first_step(step)
            reporter.advance()
            asked = _stops(strategy, stop, results)
            due = _due(step, config.steps, log, stopping=asked)
            if due.report:
                results.report(step)
            profile.end(step)
            if due.evaluate and chief:
                with streams.diagnosed(task.diagnose):
                    task.evaluate(state, reporter)
            if due.save:
                checkpoints.save()
            if due.stop:
                raise Preempted(f"Saved step {step} of {config.steps}.")


class _Due(NamedTuple):
    """What follows a step."""

    report: bool
    evaluate: bool
    save: bool
    stop: bool


def _due(step: int, last: int, log: LogConfig, *, stopping: bool) -> _Due:
    ends = step == last
    stop = stopping and not ends
    evaluate = ends or step % log.evaluate_every == 0
    save = ends or stop or step % log.checkpoint_every == 0
    # Weights that went wrong must be seen to before they are kept.
    report = save or evaluate or step % log.log_every == 0
    return _Due(report, evaluate, save, stop)


def _stops(strategy, stop: StopSignal, results: Results) -> bool:
    """Whether to stop; workers must agree, which is known a little later."""
    several = devices.has_other_workers(strategy)
    return results.stopping if several else stop.received


@contextlib.contextmanager
def _others_needed(strategy: tf.distribute.Strategy):
    """Tells the loss of another worker, which ends this one, from other errors."""
    try:
        yield
    except tf.errors.OpError as error:
        if not devices.has_other_workers(strategy):
            raise
        raise WorkerLost(f"Lost another worker ({type(error).__name__}).") from error
