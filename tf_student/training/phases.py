"""The phases of an optimizer step: each lowers a loss with a network of its own."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_student.training.state import Learner, TrainState

Loss = Callable[[keras.Model, Any, tf.Tensor], tf.Tensor]


class PhaseLoss(NamedTuple):
    """What a phase computes from a part of a batch.

    Attributes:
        losses: float32 `[examples]`; their mean over the global batch is minimized.
        metrics: further float32 `[examples]` by name, whose means are reported.
        carried: tensors by name for the later phases of the step, whose first axis is
            that of the examples. No gradient flows through them.
    """

    losses: tf.Tensor
    metrics: Mapping[str, tf.Tensor] = {}
    carried: Mapping[str, tf.Tensor] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class Phase:
    """An update of one network within an optimizer step.

    Attributes:
        learner: the network and its optimizer.
        loss: from a part of the batch, the tensors that earlier phases carry, and an
            int32 seed `[2]`, which is the same for all phases of a step.
        clip_norm: maximum global norm of the gradients; 0: no clipping.
        name: prefix of its metrics; empty for the phase that trains the run's network.
        check: called with the means of all metrics since the last report, by name; it
            raises a `DivergedError` if they show that training has failed.
    """

    learner: Learner
    loss: Callable[[Any, Mapping[str, tf.Tensor], tf.Tensor], PhaseLoss]
    clip_norm: float = 0.0
    name: str = ""
    check: Callable[[Mapping[str, float]], object] = lambda values: None

    def metric(self, name: str) -> str:
        """The full name of one of its metrics, such as `fake_loss`."""
        return f"{self.name}_{name}" if self.name else name


def single(state: TrainState, loss: Loss, clip_norm: float) -> list[Phase]:
    """The only phase of a run that minimizes one loss.

    Args:
        state: holds the network.
        loss: from (network, part of a batch, int32 seed `[2]`) to losses `[examples]`.
        clip_norm: maximum global norm of the gradients; 0: no clipping.
    """

    def of_part(batch, carried, seed):
        return PhaseLoss(loss(state.model, batch, seed))

    return [Phase(state.learner, of_part, clip_norm)]
