"""The student's task: the teacher's image in one call (arXiv 2101.02388, eq. 3)."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_student.data import grids, images, streams
from tf_student.diffusion import losses
from tf_student.pairs.interface import Pairs
from tf_student.runtime.errors import DivergedError
from tf_student.training import phases
from tf_student.training.best_weights import BestWeights
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.training_config import DistillConfig, TrainConfig

_GRID = 16


def student_loss(
    model: keras.Model,
    pair: tuple[tf.Tensor, tf.Tensor],
    seed: tf.Tensor | None = None,
    *,
    distance: str,
) -> tf.Tensor:
    """The distance of G(z) to the teacher's image, in training mode.

    Args:
        model: a student, G.
        pair: float32 noise z and uint8 image, both `[batch, height, width, channels]`.
            With classes, the pair of noise and labels takes the place of noise.
        seed: int32 `[2]`, the seed of the dropout masks.
        distance: `l1`, or `l2` for the squared error; summed over pixels.

    Returns:
        float32 `[batch]`.
    """
    z, target = pair
    generated = model(z, training=True, seed=seed)
    return losses.distillation_loss(
        images.to_float(target), generated, distance=distance
    )


@dataclasses.dataclass(frozen=True, eq=False)
class StudentTask:
    """Trains G(z) on pairs and keeps the EMA weights with the lowest held-out loss.

    Attributes:
        pairs: noise and the teacher's images, stored or generated on demand.
        config: the distance, and how many pairs to use.
        directory: gets `model.keras`.
        seed: the seed of the order of pairs.
        batch_size: number of held-out pairs per network call.
        label: names the task.
    """

    pairs: Pairs
    config: DistillConfig
    directory: str
    seed: int
    batch_size: int
    label: str = "student"

    def examples(
        self, start: int, part: streams.Part = streams.WHOLE
    ) -> tf.data.Dataset:
        """Endless (noise float32, image uint8) from a position on; see `Pairs`."""
        return self.pairs.train(
            seed=self.seed, start=start, max_pairs=self.config.max_pairs, part=part
        )

    def phases(self, state: TrainState, config: TrainConfig) -> list[phases.Phase]:
        """The only update of a step."""
        return phases.single(state, self.loss, config.clip_norm)

    def loss(
        self, model: keras.Model, batch: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor
    ) -> tf.Tensor:
        """Distances to the teacher's images, `[examples]`."""
        return student_loss(model, batch, seed, distance=self.config.distance)

    def held_out_loss(self, model: keras.Model) -> float:
        """The mean distance over all held-out pairs."""
        pairs = self.pairs.held_out().batch(self.batch_size)
        total = sum(float(self._batch_loss(model, z, image)) for z, image in pairs)
        return total / self.pairs.manifest.pairs.held_out_pairs

    @functools.cached_property
    def _batch_loss(self) -> Callable[[keras.Model, tf.Tensor, tf.Tensor], tf.Tensor]:
        @tf.function(autograph=False, reduce_retracing=True)
        def batch_loss(model, z, target):
            distance = losses.distillation_loss(
                images.to_float(target), model(z), distance=self.config.distance
            )
            return tf.reduce_sum(distance)

        return batch_loss

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Reports the held-out loss, keeps the best weights, draws a grid.

        Raises:
            DivergedError: if the loss is not finite.
        """
        step = int(state.step.numpy())
        loss = self.held_out_loss(state.ema)
        if not np.isfinite(loss):
            raise DivergedError(f"The held-out loss became {loss} at step {step}.")
        BestWeights(self.directory).keep(state, loss)
        reporter.scalars(step, {"held_out_loss": loss})
        z, teacher = next(iter(self.pairs.held_out().batch(_GRID)))
        rows = np.concatenate([teacher, images.to_uint8(state.ema(z))])
        reporter.grid(step, "teacher_above_student", grids.grid(rows, len(teacher)))

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged shard, if one exists."""
        self.pairs.diagnose()
