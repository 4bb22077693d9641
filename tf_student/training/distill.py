"""The student's task: the teacher's image in one call (arXiv 2101.02388, eq. 3)."""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_student import images, losses, model_directory, streams
from tf_student.config import DistillConfig
from tf_student.errors import DivergedError
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.reader import PairSet
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState

_GRID = 16


@dataclasses.dataclass(frozen=True, eq=False)
class DistillTask:
    """Trains G(z) on pairs; keeps the averaged weights that do best on held-out ones.

    Attributes:
        pair_set: noise and the teacher's images, stored or made online.
        distill: names the distance.
        directory: gets `model.keras`.
        seed: of the order.
        batch_size: held-out pairs that are compared at once.
    """

    pair_set: PairSet | OnlinePairs
    distill: DistillConfig
    directory: str
    seed: int
    batch_size: int
    label: str = "student"

    def examples(
        self, start: int, part: streams.Part = streams.WHOLE
    ) -> tf.data.Dataset:
        """Endless (noise float32, image uint8) from a position on."""
        return self.pair_set.train(
            seed=self.seed, start=start, max_pairs=self.distill.max_pairs, part=part
        )

    def loss(self, model: keras.Model, batch: Any, seed: tf.Tensor) -> tf.Tensor:
        """Distance to the teacher's image, `[examples]`."""
        z, target = batch
        generated = model(z, training=True, seed=seed)
        return self._distance(generated, target)

    def _distance(self, generated, target):
        return losses.distillation_loss(
            generated, images.to_float(target), distance=self.distill.distance
        )

    def held_out_loss(self, model: keras.Model) -> float:
        """Mean distance over all held-out pairs."""
        batch_loss = self._batch_loss(model)
        pairs = self.pair_set.held_out().batch(self.batch_size)
        total = sum(float(batch_loss(z, image)) for z, image in pairs)
        return total / self.pair_set.manifest.pairs.held_out_pairs

    @functools.cache  # noqa: B019 - a task lives as long as its run.
    def _batch_loss(self, model: keras.Model):
        @tf.function(reduce_retracing=True)
        def batch_loss(z, target):
            return tf.reduce_sum(self._distance(model(z), target))

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
        if loss < float(state.best.numpy()):
            state.best.assign(loss)
            model_directory.save(self.directory, state.ema)
        reporter.scalars(step, {"held_out_loss": loss})
        z, teacher = next(iter(self.pair_set.held_out().batch(_GRID)))
        rows = np.concatenate([teacher, images.to_uint8(state.ema(z))])
        reporter.grid(step, "teacher_above_student", images.grid(rows, len(teacher)))

    def diagnose(self) -> None:
        """Names a damaged shard, if there is one."""
        self.pair_set.diagnose()
