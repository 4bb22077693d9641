"""Keeps the best EMA weights of a run as its finished network."""

import dataclasses

from tf_student.models import weights_file
from tf_student.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class BestWeights:
    """Writes `model.keras` of a run.

    Attributes:
        directory: of the run.
    """

    directory: str

    def keep(self, state: TrainState, loss: float | None = None) -> bool:
        """Writes the EMA weights if they are the best so far.

        The lowest loss is a part of the state, so that a resumed run remembers it.

        Args:
            state: has the EMA weights.
            loss: how good they are, lower is better; None always keeps them.

        Returns:
            Whether they were written.
        """
        if loss is not None:
            if not loss < float(state.best.numpy()):
                return False
            state.best.assign(loss)
        weights_file.save(self.directory, state.ema)
        return True
