"""Fetches the results of steps late, so that the host does not wait for the device."""

import math
from collections.abc import Sequence

import tensorflow as tf

from tf_student.runtime.errors import DivergedError
from tf_student.training import ema
from tf_student.training.phases import Phase
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.step import Outcome

# Stop requests are read this many steps late, so that the device is never idle. All
# workers read the answer of the same step.
_DELAY = 2

_NORM = "gradient_norm"


class Results:
    """The outcomes of the steps since the last report.

    Args:
        reporter: gets their means.
        state: gives the learning rate, the loss scale and the distance of the EMA
            weights.
        phases: check the means.
        batch_size: examples per step.
    """

    def __init__(
        self,
        reporter: Reporter,
        state: TrainState,
        phases: Sequence[Phase],
        batch_size: int,
    ):
        self._reporter, self._state, self._batch_size = reporter, state, batch_size
        self._phases = phases
        self._pending: list[Outcome] = []
        self._stops: list[tf.Tensor] = []
        # The duration of the first step, until it is reported.
        self._first: dict[str, float] | None = None

    def add(self, step: int, outcome: Outcome) -> None:
        """Adds the outcome of a step; waits only for the first one, which compiles."""
        if self._first is None:
            outcome.values["loss"].numpy()
            seconds = 1.0 / self._reporter.rate(step)
            self._first = {"first_step_seconds": seconds}
            self._reporter.say("First step, with compilation: %.1f s.", seconds)
        self._pending.append(outcome)
        self._stops = [*self._stops[-_DELAY:], outcome.stops]

    @property
    def stopping(self) -> bool:
        """Whether any worker was asked to stop; the same answer on all workers."""
        arrived = self._stops[: len(self._stops) - _DELAY]
        return any(float(stops) > 0 for stops in arrived)

    def report(self, step: int) -> None:
        """Fetches the outcomes since the last report and records their means.

        Raises:
            DivergedError: if a loss or a gradient norm is not finite; it names the
                first such step.
        """
        columns = {
            name: [float(outcome.values[name]) for outcome in self._pending]
            for name in self._pending[0].values
        }
        self._check_finite(columns, step - len(self._pending) + 1)
        self._pending = []
        means = {k: _mean_or_last(k, column) for k, column in columns.items()}
        self._reporter.scalars(step, {**means, **self._speed(step)})
        for phase in self._phases:
            phase.check(means)

    def _check_finite(self, columns: dict[str, list[float]], first: int) -> None:
        """Checks the losses and the gradient norms of the steps from `first` on."""
        scale = self._state.loss_scale
        # Such a gradient damages the weights one step before the loss shows it. If the
        # loss is scaled, the step was skipped and the scale reduced instead.
        scaled = scale is not None and scale >= 1.0
        names = [name for name in columns if not (scaled and name.endswith(_NORM))]
        for row in range(len(columns["loss"])):
            for name in names:
                _check_finite(name, columns[name][row], first + row)

    def _speed(self, step: int) -> dict[str, float]:
        """The learning rate, the speed and the scale at a step."""
        state, rate = self._state, self._reporter.rate(step)
        values = {
            "learning_rate": float(state.optimizer.learning_rate),
            "steps_per_second": rate,
            "examples_per_second": rate * self._batch_size,
            "ema_distance": ema.distance(
                state.ema.trainable_variables, state.model.trainable_variables
            ),
            **(self._first or {}),
        }
        self._first = {}
        if state.loss_scale is not None:
            values["loss_scale"] = state.loss_scale
            values["skipped_steps"] = int(state.skipped.numpy())
        return values


def _check_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"The {name.replace('_', ' ')} became {value} at step {step}. The last "
            "checkpoint before it is kept; a lower learning_rate may help."
        )


def _mean_or_last(name: str, column: list[float]) -> float:
    """The mean of a metric; of a gradient norm, the last one that is finite."""
    if name.endswith(_NORM):
        return next(filter(math.isfinite, reversed(column)), 0.0)
    return sum(column) / len(column)
