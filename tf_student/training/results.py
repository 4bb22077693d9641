"""Fetches the results of steps late, so that the host does not wait for the device."""

import math

import tensorflow as tf

from tf_student.runtime.errors import DivergedError
from tf_student.training import ema
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.step import Outcome

# Stop requests are read this many steps late, so that the device is never idle. All
# workers read the answer of the same step.
_DELAY = 2


class Results:
    """The outcomes of the steps since the last report.

    Args:
        reporter: gets their means.
        state: gives the learning rate, the loss scale and the distance of the EMA
            weights.
        batch_size: examples per step.
    """

    def __init__(self, reporter: Reporter, state: TrainState, batch_size: int):
        self._reporter, self._state, self._batch_size = reporter, state, batch_size
        self._pending: list[Outcome] = []
        self._stops: list[tf.Tensor] = []
        # The duration of the first step, until it is reported.
        self._first: dict[str, float] | None = None

    def add(self, step: int, outcome: Outcome) -> None:
        """Adds the outcome of a step; waits only for the first one, which compiles."""
        if self._first is None:
            outcome.loss.numpy()
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
        losses = [float(outcome.loss) for outcome in self._pending]
        norms = [float(outcome.norm) for outcome in self._pending]
        scale = self._state.loss_scale
        first = step - len(losses) + 1
        for number, (loss, norm) in enumerate(zip(losses, norms, strict=True), first):
            _check_finite("loss", loss, number)
            # Such a gradient damages the weights one step before the loss shows it. If
            # the loss is scaled, the step was skipped and the scale reduced instead.
            if scale is None or scale < 1.0:
                _check_finite("gradient norm", norm, number)
        self._pending = []
        self._reporter.scalars(step, self._values(step, losses, norms))

    def _values(
        self, step: int, losses: list[float], norms: list[float]
    ) -> dict[str, float]:
        state, rate = self._state, self._reporter.rate(step)
        values = {
            "loss": sum(losses) / len(losses),
            "gradient_norm": next(filter(math.isfinite, reversed(norms)), 0.0),
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
            f"The {name} became {value} at step {step}. The last checkpoint before it "
            "is kept; a lower learning_rate may help."
        )
