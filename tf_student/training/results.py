"""What steps found, fetched late, so that the host does not wait for the device."""

import math

import tensorflow as tf

from tf_student.runtime.errors import DivergedError
from tf_student.training import ema
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.step import Outcome

# Whether to stop is read so many steps late: the device has always work in hand, and
# all workers read the same step's answer.
_LATE = 2


class Results:
    """The outcomes of the steps since the last report.

    Args:
        reporter: gets their means.
        state: gives the learning rate and the averages' distance.
        batch_size: examples of a step.
    """

    def __init__(self, reporter: Reporter, state: TrainState, batch_size: int):
        self._reporter, self._state, self._batch_size = reporter, state, batch_size
        self._pending: list[Outcome] = []
        self._stops: list[tf.Tensor] = []
        self._once: dict[str, float] = {}

    def add(self, outcome: Outcome) -> None:
        """One more step."""
        self._pending.append(outcome)
        self._stops = [*self._stops[-_LATE:], outcome.stops]

    def first_step(self, step: int) -> None:
        """Waits for the step, the only one that compiles, and tells its time apart."""
        self._pending[-1].loss.numpy()
        seconds = 1.0 / self._reporter.rate(step)
        self._once = {"first_step_seconds": seconds}
        self._reporter.say("First step, with compilation: %.1f s.", seconds)

    @property
    def stopping(self) -> bool:
        """Whether any worker was asked to stop; the same answer on all of them."""
        late = self._stops[: len(self._stops) - _LATE]
        return any(float(stops) > 0 for stops in late)

    def report(self, step: int) -> None:
        """Fetches the results since the last report; refuses what is not finite.

        Raises:
            DivergedError: names the first step that went wrong.
        """
        losses = [float(outcome.loss) for outcome in self._pending]
        norms = [float(outcome.norm) for outcome in self._pending]
        scale = self._state.loss_scale
        first = step - len(losses) + 1
        for number, (loss, norm) in enumerate(zip(losses, norms, strict=True), first):
            _refuse_not_finite("loss", loss, number)
            # Such a gradient spoils the weights a step before the loss shows it; where
            # the loss is scaled, the step was left out and the scale made smaller.
            if scale is None or scale < 1.0:
                _refuse_not_finite("gradient norm", norm, number)
        self._pending = []
        self._reporter.scalars(step, self._values(step, losses, norms))

    def _values(self, step, losses, norms) -> dict[str, float]:
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
            **self._once,
        }
        self._once = {}
        if state.loss_scale is not None:
            values["loss_scale"] = state.loss_scale
            values["skipped_steps"] = int(state.skipped.numpy())
        return values


def _refuse_not_finite(name: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise DivergedError(
            f"The {name} became {value} at step {step}. The last checkpoint before it "
            "is kept; a lower learning_rate may help."
        )
