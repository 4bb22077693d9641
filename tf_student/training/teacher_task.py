"""The teacher's task: predict the noise in real images (DDPM, eq. 14)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.data import grids, images, streams
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet
from tf_student.diffusion import inputs as network_inputs
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
    """Trains eps(x, t), or eps(x, t, label) for a network with classes, on images.

    Attributes:
        image_set: the real images.
        data: whether to mirror them at random.
        diffusion: the forward process.
        sampler: draws the image grids.
        unet: the architecture, for the shape of an image and the classes.
        seed: the seed of order, mirroring, noise, time steps and dropped labels.
        label: names the task.
    """

    image_set: ImageSet
    data: DataConfig
    diffusion: DiffusionConfig
    sampler: SamplerConfig
    unet: UNetConfig
    seed: int
    label: str = "teacher"

    def examples(
        self, start: int, part: streams.Part = streams.WHOLE
    ) -> tf.data.Dataset:
        """Endless (image uint8, noise float32, t int32) from a position on.

        With classes, an int32 label is the fourth part of each example.
        """
        stream = part.of(self.image_set.shuffled(seed=self.seed, start=start))
        return stream.map(self._example, tf.data.AUTOTUNE)

    def _example(self, position: tf.Tensor, element: Any) -> tuple[tf.Tensor, ...]:
        image = self.image_set.decode(element)
        draw = tf.random.stateless_uniform
        index = noise.TEACHER + position
        # Each draw has a key of its own, because equal keys give equal bits.
        key = tf.stack([tf.constant(self.seed, tf.int64), index])
        t = draw([], _fold_in(key, 1), 0, self.diffusion.timesteps, tf.int32)
        if self.data.flip:
            mirrored = draw([], _fold_in(key, 2)) < 0.5
            image = tf.cond(mirrored, lambda: image[:, ::-1], lambda: image)
        eps = noise.draw(self.seed, index, self.unet.image_shape)
        if not self.unet.classes:
            return image, eps, t
        assert self.image_set.label is not None
        label = self.image_set.label(element)
        dropped = draw([], _fold_in(key, 3)) < self.unet.label_dropout
        return image, eps, t, tf.where(dropped, self.unet.classes, label)

    def phases(self, state: TrainState, config: TrainConfig) -> list[phases.Phase]:
        """The only update of a step."""
        return phases.single(state, self.loss, config.clip_norm)

    def loss(
        self,
        model: keras.Model,
        batch: tuple[tf.Tensor, ...],
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Mean squared errors of the predicted noise, `[examples]`."""
        # The labels, if there are classes.
        pixels, eps, t, *labels = batch
        return losses.noise_loss(
            lambda x, t: model(x, t, *labels, training=True, seed=seed),
            images.to_float(pixels),
            eps,
            t,
            alpha_bars=schedules.alpha_bars(self.diffusion),
            prediction=self.diffusion.prediction,
        )

    def evaluate(self, state: TrainState, reporter: Reporter) -> None:
        """Draws a grid of samples with the EMA weights, always from the same noise."""
        inputs = network_inputs.batch(
            self.seed,
            noise.EVALUATION + np.arange(_GRID),
            self.unet.image_shape,
            self.unet.classes,
        )
        sheet = grids.grid(images.to_uint8(self._sample(state.ema, inputs)).numpy())
        reporter.grid(int(state.step.numpy()), "samples", sheet)

    @functools.cached_property
    def _sample(self) -> Callable[[UNet, Any], tf.Tensor]:
        @tf.function(autograph=False)
        def sample(unet, inputs):
            return Teacher(unet, self.diffusion).sampler(self.sampler)(inputs)

        return sample

    def diagnose(self) -> None:
        """Raises an `InputError` that names an unreadable image, if one exists."""
        self.image_set.diagnose()
