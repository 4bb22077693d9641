"""Writes the best EMA weights of a run as its finished network."""

import dataclasses

from tf_student.models import weights_file
from tf_student.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class BestWeights:
    """The file `model.keras` of a run.

    Attributes:
        directory: the run's directory.
    """

    directory: str

    def keep(self, state: TrainState, loss: float | None = None) -> bool:
        """Writes the EMA weights if their loss, or another score, is the lowest so far.

        The lowest one is part of the state, so that a resumed run remembers it.

        Args:
            state: the state of the run; its `best` is updated.
            loss: the loss of the EMA weights. None writes them unconditionally.

        Returns:
            Whether the weights were written.
        """
        if loss is not None:
            if not loss < float(state.best.numpy()):
                return False
            state.best.assign(loss)
        weights_file.save(self.directory, state.ema)
        return True
