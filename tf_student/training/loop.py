"""The training loop, which every method shares."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from tf_student.data import streams
from tf_student.runtime import devices
from tf_student.runtime.errors import Preempted, WorkerLost
from tf_student.runtime.preemption import StopSignal, Terminated
from tf_student.training.batches import distribute
from tf_student.training.checkpoints import Checkpoints
from tf_student.training.phases import Phase
from tf_student.training.profile import Profile
from tf_student.training.reporter import Reporter
from tf_student.training.results import Results
from tf_student.training.state import TrainState
from tf_student.training.step import Outcome, make_train_step
from tf_student.training.train_run import TrainRun
from tf_student.training.training_config import LogConfig, TrainConfig


class Task(Protocol):
    """What a network learns: the only difference between training runs."""

    @property
    def label(self) -> str:
        """The kind of network: `teacher` or `student`."""

    def examples(self, start: int, part: streams.Part) -> tf.data.Dataset:
        """Returns a worker's part of the endless examples from position `start` on.

        An example is a function only of its position.
        """

    def phases(self, state: TrainState, config: TrainConfig) -> Sequence[Phase]:
        """Returns the updates of a step, in their order."""

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Evaluates and reports the EMA weights, and may keep them as the best.

        It changes nothing of the state except `best`. SIGTERM ends it with an
        exception, and it is called again for the same weights.
        """

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged input file, if one exists."""


def train(task: Task, state: TrainState, setup: TrainRun) -> None:
    """Trains until `setup.train.steps`, from the last checkpoint if there is one.

    Of several workers only the chief evaluates and writes. An evaluation that SIGTERM
    interrupted is repeated when the run goes on.

    Raises:
        DivergedError: if a loss is not finite. The last checkpoint is kept.
        Preempted: on SIGTERM to any worker, after saving.
        WorkerLost: if another worker is lost.
        InputError: if an input is damaged or no checkpoint can be restored.
    """
    config, log = setup.train, setup.log
    checkpoints = Checkpoints(state, setup.directory, log.checkpoints, setup.strategy)
    start = _restore(task, state, setup, checkpoints)
    if start >= config.steps:
        return
    phases = task.phases(state, config)
    batches, take_step = _batches(task, setup, start), _step(phases, state, setup)
    with (
        contextlib.closing(_reporter(task, setup, start)) as reporter,
        contextlib.closing(_profile(setup)) as profile,
        _stop_signal(setup) as stop,
        _lost_workers_reported(setup.strategy),
    ):
        results = Results(reporter, state, phases, config.batch_size)
        for step in range(start + 1, config.steps + 1):
            with streams.diagnosed(task.diagnose):
                batch = next(batches)
            profile.begin(step)
            results.add(step, take_step(batch, tf.constant(float(stop.received))))
            stop.defer()
            reporter.advance()
            due = _due(step, config.steps, log, _stopping(setup, stop, results))
            if due.report:
                results.report(step)
            profile.end(step)
            if due.evaluate and setup.is_chief:
                stop.received |= due.stop  # Another worker may have received it.
                _evaluate(task, state, setup, reporter, stop, checkpoints)
            if due.save:
                checkpoints.save()
            if due.stop:
                raise Preempted(f"Saved step {step} of {config.steps}.")


def _evaluate(
    task: Task,
    state: TrainState,
    setup: TrainRun,
    reporter: Reporter,
    stop: StopSignal,
    checkpoints: Checkpoints,
) -> None:
    """Evaluates; on SIGTERM saves a state from which the evaluation can be repeated."""
    best = float(state.best.numpy())
    try:
        with stop.interrupting(), streams.diagnosed(task.diagnose):
            if stop.received:
                raise Terminated
            task.evaluate(state, reporter)
    # Within a callback, TensorFlow turns the exception of a signal into one of its own.
    except (Terminated, Exception) as error:
        if not stop.received:
            raise
        state.best.assign(best)
        checkpoints.save_unevaluated()
        step, steps = int(state.step.numpy()), setup.train.steps
        raise Preempted(f"Saved step {step} of {steps}.") from error


def _restore(
    task: Task, state: TrainState, setup: TrainRun, checkpoints: Checkpoints
) -> int:
    """Restores the last step, and evaluates it if its evaluation was interrupted."""
    step = checkpoints.restore()
    if not (checkpoints.unevaluated and setup.is_chief):
        return step
    with (
        contextlib.closing(_reporter(task, setup, step, again=True)) as reporter,
        _stop_signal(setup) as stop,
    ):
        _evaluate(task, state, setup, reporter, stop, checkpoints)
        if _due(step, setup.train.steps, setup.log, stopping=False).save:
            checkpoints.save()
    return step


def _batches(task: Task, setup: TrainRun, start: int) -> Iterator[Any]:
    """The distributed batches after the first `start` steps."""
    batch_size = setup.train.batch_size
    examples = functools.partial(task.examples, start * batch_size)
    return iter(
        distribute(setup.strategy, examples, batch_size, parts=setup.run.accumulate)
    )


def _step(
    phases: Sequence[Phase], state: TrainState, setup: TrainRun
) -> Callable[[Any, tf.Tensor], Outcome]:
    return make_train_step(
        setup.strategy,
        state,
        phases,
        config=setup.train,
        xla=devices.use_xla(setup.run.xla),
        parts=setup.run.accumulate,
    )


def _reporter(
    task: Task, setup: TrainRun, start: int, *, again: bool = False
) -> Reporter:
    return Reporter(
        setup.directory,
        start=start,
        total=setup.train.steps,
        label=task.label,
        progress=setup.progress and setup.is_chief and not again,
        writes=setup.is_chief,
        unevaluated=again,
    )


def _profile(setup: TrainRun) -> Profile:
    return Profile(setup.directory, setup.log.profile_steps if setup.is_chief else ())


class _Due(NamedTuple):
    """What follows a step."""

    report: bool
    evaluate: bool
    save: bool
    stop: bool


def _due(step: int, last: int, log: LogConfig, stopping: bool) -> _Due:
    finished = step == last
    stop = stopping and not finished
    evaluate = finished or step % log.evaluate_every == 0
    save = finished or stop or step % log.checkpoint_every == 0
    # A report checks that the losses are finite, which must precede saving.
    report = save or evaluate or step % log.log_every == 0
    return _Due(report, evaluate, save, stop)


def _stop_signal(setup: TrainRun) -> StopSignal:
    stop = StopSignal("No step was done since the last checkpoint.")
    # Workers stop together, also before the first step.
    if devices.has_other_workers(setup.strategy):
        stop.defer()
    return stop


def _stopping(setup: TrainRun, stop: StopSignal, results: Results) -> bool:
    """Whether to stop. Workers must agree, which takes a few steps.

    TensorFlow's `PreemptionCheckpointHandler` is no replacement: it restores only the
    newest checkpoint, adds a variable of its own, and saves without checking losses.
    """
    if devices.has_other_workers(setup.strategy):
        return results.stopping
    return stop.received


@contextlib.contextmanager
def _lost_workers_reported(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turns the error that follows the loss of another worker into a `WorkerLost`."""
    try:
        yield
    except tf.errors.OpError as error:
        if not devices.has_other_workers(strategy):
            raise
        raise WorkerLost(f"Lost another worker ({type(error).__name__}).") from error
