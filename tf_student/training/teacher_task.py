"""The teacher's task: predict the noise in real images (DDPM, eq. 14)."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_student.data import grids, images, streams
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet
from tf_student.diffusion import losses, noise, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.training import phases
from tf_student.training.reporter import Reporter
from tf_student.training.state import TrainState
from tf_student.training.training_config import TrainConfig

_GRID = 64
_fold_in = tf.random.experimental.stateless_fold_in


@dataclasses.dataclass(frozen=True, eq=False)
class TeacherTask:
    """Trains eps(x, t) on real images.

    Attributes:
        image_set: the real images.
        data: whether to mirror them at random.
        diffusion: the forward process.
        sampler: draws the image grids.
        image_shape: `(height, width, channels)`.
        seed: the seed of order, mirroring, noise and time steps.
        label: names the task.
    """

    image_set: ImageSet
    data: DataConfig
    diffusion: DiffusionConfig
    sampler: SamplerConfig
    image_shape: tuple[int, int, int]
    seed: int
    label: str = "teacher"

    def examples(
        self, start: int, part: streams.Part = streams.WHOLE
    ) -> tf.data.Dataset:
        """Endless (image uint8, noise float32, t int32) from a position on."""
        stream = part.of(self.image_set.shuffled(seed=self.seed, start=start))
        return stream.map(self._example, tf.data.AUTOTUNE)

    def _example(
        self, position: tf.Tensor, element: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = self.image_set.decode(element)
        draw = tf.random.stateless_uniform
        index = noise.TEACHER + position
        # Each draw has a key of its own, because equal keys give equal bits.
        key = tf.stack([tf.constant(self.seed, tf.int64), index])
        t = draw([], _fold_in(key, 1), 0, self.diffusion.timesteps, tf.int32)
        if self.data.flip:
            mirrored = draw([], _fold_in(key, 2)) < 0.5
            image = tf.cond(mirrored, lambda: image[:, ::-1], lambda: image)
        eps = noise.draw(self.seed, index, self.image_shape)
        return image, eps, t

    def phases(self, state: TrainState, config: TrainConfig) -> list[phases.Phase]:
        """The only update of a step."""
        return phases.single(state, self.loss, config.clip_norm)

    def loss(
        self,
        model: keras.Model,
        batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Mean squared errors of the predicted noise, `[examples]`."""
        pixels, eps, t = batch
        return losses.noise_loss(
            lambda x, t: model(x, t, training=True, seed=seed),
            images.to_float(pixels),
            eps,
            t,
            alpha_bars=schedules.alpha_bars(self.diffusion),
            prediction=self.diffusion.prediction,
        )

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Draws a grid of samples with the EMA weights, always from the same noise."""
        z = noise.normal(
            self.seed, noise.EVALUATION + np.arange(_GRID), self.image_shape
        )
        sheet = grids.grid(images.to_uint8(self._sample(state.ema, z)).numpy())
        reporter.grid(int(state.step.numpy()), "samples", sheet)

    @functools.cached_property
    def _sample(self) -> Callable[[UNet, tf.Tensor], tf.Tensor]:
        @tf.function
        def sample(unet, z):
            return Teacher(unet, self.diffusion).sampler(self.sampler)(z)

        return sample

    def diagnose(self) -> None:
        """Raises an `InputError` that names an unreadable image, if one exists."""
        self.image_set.diagnose()
