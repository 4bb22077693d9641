"""The command `verify-teacher`: a teacher's samples and its noise-prediction loss."""

import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tf_student.data import datasets, grids, images, streams
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet
from tf_student.diffusion import losses, noise, schedules
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.runtime import devices, leftovers
from tf_student.runtime.run_config import RunConfig

# Time steps at which the loss is measured.
_LEVELS = 5
_BATCH = 16
_WIDTH = 768
_SAMPLES = "teacher.png"


@dataclasses.dataclass(frozen=True)
class Verification:
    """Statistics of a teacher's samples, and its losses.

    Attributes:
        path: of the grid of samples.
        mean: of the samples' values, 0 to 255.
        deviation: standard deviation of the samples' values.
        saturated: share of the samples' values that are 0 or 255.
        losses: mean squared error of the prediction by time step, which for the noise
            is 1 if the network always predicts 0; None without real images.
    """

    path: str
    mean: float
    deviation: float
    saturated: float
    losses: dict[int, float] | None

    def text(self) -> str:
        """One or two lines for the terminal."""
        lines = [
            f"samples: {self.path}, mean {self.mean:.1f}, deviation "
            f"{self.deviation:.1f}, {self.saturated:.1%} of the values 0 or 255"
        ]
        if self.losses:
            steps = ", ".join(f"t={t}: {v:.4f}" for t, v in self.losses.items())
            mean = np.mean(list(self.losses.values()))
            lines.append(f"prediction loss: {mean:.4f} ({steps})")
        return "\n".join(lines)


def verify_teacher(
    teacher: Teacher | str,
    directory: str,
    *,
    real: DataConfig | str | None = None,
    config: VerifyConfig = VerifyConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> Verification:
    """Samples from a teacher and measures its noise-prediction loss on real images.

    Args:
        teacher: a teacher or its run directory.
        directory: gets the samples, as `teacher.png`.
        real: real images, or the name of their dataset; None measures no loss.
        config: the numbers of images, and the seed.
        sampler: solver and steps of the teacher.
        run: how to use the devices.

    Returns:
        The figures; `text()` is a summary.

    Raises:
        InputError: if the teacher or the real images cannot be read.

    Example:

    >>> config = VerifyConfig(count=4, real_images=16)
    >>> sampler = SamplerConfig("uniform", 5)
    >>> verification = verify_teacher(
    ...     teacher, "runs/digits", real="digits", config=config, sampler=sampler)
    >>> list(verification.losses)
    [100, 300, 500, 700, 900]
    """
    teacher = as_teacher(teacher)
    generator = teacher.generator(devices.open_devices(run), sampler, run)
    images_of = None if real is None else _open(teacher, real)
    with leftovers.making(directory):
        loss = None if images_of is None else _losses(teacher, images_of, config)
        samples = generator.from_seed(config.seed, noise.EVALUATION, config.count)
        path = _write(directory, samples)
    saturated = float(np.mean((samples == 0) | (samples == 255)))
    return Verification(
        path, float(samples.mean()), float(samples.std()), saturated, loss
    )


def _write(directory: str, samples: np.ndarray) -> str:
    """Writes the grid of samples, and returns its path."""
    path = os.path.join(directory, _SAMPLES)
    with leftovers.tidied(directory, {_SAMPLES}.__contains__):
        grids.write_png(path, grids.grid(samples), width=_WIDTH)
    return path


def _open(teacher: Teacher, real: DataConfig | str) -> ImageSet:
    """The real images, with the labels that the teacher needs."""
    data = DataConfig(real) if isinstance(real, str) else real
    images = datasets.load(data, teacher.image_shape)
    if teacher.classes:
        images.checked_label(teacher.classes)
    return images


def _losses(teacher: Teacher, real: ImageSet, config: VerifyConfig) -> dict[int, float]:
    """Mean loss of the first images, at the middle of equal parts of the process."""
    loss = _loss_function(teacher)
    part = teacher.diffusion.timesteps // _LEVELS
    steps = [part // 2 + level * part for level in range(_LEVELS)]
    losses_of_batches: dict[int, list[np.ndarray]] = {step: [] for step in steps}
    first = noise.TEACHER
    for batch in _examples(teacher, real, config.real_images):
        pixels, *labels = batch
        indices = np.arange(first, first + len(pixels))
        eps = noise.normal(config.seed, indices, pixels.shape[1:])
        first += len(pixels)
        for step, parts in losses_of_batches.items():
            parts.append(loss(pixels, eps, tf.constant(step), *labels).numpy())
    return {
        step: float(np.concatenate(parts).mean())
        for step, parts in losses_of_batches.items()
    }


def _examples(
    teacher: Teacher, real: ImageSet, count: int
) -> Iterator[tuple[tf.Tensor, ...]]:
    """Batches of images; with classes, of images and labels."""
    parts = [real.images()]
    if teacher.classes:
        parts.append(real.labels())
    with streams.diagnosed(real.diagnose):
        yield from tf.data.Dataset.zip(tuple(parts)).take(count).batch(_BATCH)


def _loss_function(teacher: Teacher) -> Callable[..., tf.Tensor]:
    """From uint8 images, noise, a time step and labels to the loss of each image."""
    alpha_bars = schedules.alpha_bars(teacher.diffusion)

    @tf.function(autograph=False)
    def loss(pixels, eps, t, *labels):
        return losses.noise_loss(
            lambda x, t: teacher.unet(x, t, *labels, training=False),
            images.to_float(pixels),
            eps,
            tf.fill([tf.shape(pixels)[0]], t),
            alpha_bars=alpha_bars,
            prediction=teacher.diffusion.prediction,
        )

    return loss
