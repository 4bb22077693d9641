"""The command `verify-teacher`: images, and how well it predicts noise."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from tf_student.data import datasets, grids, images
from tf_student.data.data_config import DataConfig
from tf_student.diffusion import losses, noise, schedules
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig

_LEVELS = 5
_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        path: of the grid of samples.
        mean: of the samples' values, 0 to 255.
        deviation: of the samples' values.
        saturated: share of the samples' values that are 0 or 255.
        losses: mean squared error of the predicted noise by time step, which is 1 for a
            network that predicts none; None where there are no real images.
    """

    path: str
    mean: float
    deviation: float
    saturated: float
    losses: dict[int, float] | None

    def text(self) -> str:
        """For the terminal."""
        lines = [
            f"samples: {self.path}, mean {self.mean:.1f}, deviation "
            f"{self.deviation:.1f}, {self.saturated:.1%} of the values 0 or 255"
        ]
        if self.losses:
            steps = ", ".join(f"t={t}: {v:.4f}" for t, v in self.losses.items())
            mean = np.mean(list(self.losses.values()))
            lines.append(f"noise prediction loss: {mean:.4f} ({steps})")
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
    """Samples from a teacher and, given real images, measures its loss on them.

    Args:
        teacher: a teacher or its directory.
        directory: gets the samples, as `teacher.png`.
        real: real images, or the name of their dataset; None measures no loss.
        config: how many images, of which seed.
        sampler: the teacher's solver and steps.
        run: how to use the devices.

    Raises:
        InputError: if there is no teacher or no image.

    Example:

    >>> print(verify_teacher(teacher, "runs/digits", real="digits").text())
    """
    teacher = as_teacher(teacher)
    generator = teacher.generator(devices.open_devices(run), sampler, run)
    loss = None
    if real is not None:
        data = DataConfig(real) if isinstance(real, str) else real
        image_set = datasets.load(data, teacher.image_shape)
        loss = _losses(teacher, image_set, config)
    pictures = generator.from_seed(config.seed, noise.EVALUATION, config.count)
    tf.io.gfile.makedirs(directory)
    path = os.path.join(directory, "teacher.png")
    grids.write_png(path, grids.grid(pictures), width=768)
    return Verification(
        path,
        float(pictures.mean()),
        float(pictures.std()),
        float(np.mean((pictures == 0) | (pictures == 255))),
        loss,
    )


def _losses(
    teacher: Teacher, image_set: datasets.ImageSet, config: VerifyConfig
) -> dict[int, float]:
    """The loss on the first images, at time steps spread over the process."""
    alpha_bars = schedules.alpha_bars(teacher.diffusion)
    batches = image_set.images().take(config.real_images).batch(_BATCH)
    part = teacher.diffusion.timesteps // _LEVELS
    steps = [part // 2 + level * part for level in range(_LEVELS)]

    @tf.function
    def loss(pixels, eps, t):
        return losses.noise_loss(
            lambda x, t: teacher.unet(x, t, training=False),
            images.to_float(pixels),
            eps,
            tf.fill([tf.shape(pixels)[0]], t),
            alpha_bars=alpha_bars,
        )

    found = {step: [] for step in steps}
    first = noise.TEACHER
    for pixels in batches:
        indices = np.arange(first, first + len(pixels))
        eps = noise.normal(config.seed, indices, pixels.shape[1:])
        first += len(pixels)
        for step in steps:
            found[step].append(loss(pixels, eps, tf.constant(step)).numpy())
    return {t: float(np.concatenate(parts).mean()) for t, parts in found.items()}
