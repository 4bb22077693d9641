"""A look at a teacher: images, and how well it predicts noise."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from tf_student import datasets, files, images, losses, noise, run_directory, schedules
from tf_student.config import DataConfig, DiffusionConfig, RunConfig, SamplerConfig
from tf_student.convert.config import VerifyConfig
from tf_student.stations import session

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
    directory: str,
    teacher_directory: str,
    config: VerifyConfig,
    sampler: SamplerConfig,
    run: RunConfig,
    data: DataConfig | None = None,
) -> Verification:
    """Samples from a teacher and, given images, measures its loss on them.

    Leaves the samples as `teacher.png` in `directory`.

    Raises:
        InputError: if there is no teacher or no image.
    """
    strategy = session.open_devices(run)
    generator, teacher = session.teacher_generator(
        strategy, teacher_directory, sampler, run
    )
    loss = None
    if data is not None:
        diffusion = run_directory.read_config(
            teacher_directory, "diffusion", DiffusionConfig
        )
        image_set = datasets.load(data, generator.shape)
        loss = _losses(teacher, image_set, diffusion, config)
    pictures = generator.from_seed(config.seed, noise.EVALUATION, config.count)
    tf.io.gfile.makedirs(directory)
    path = os.path.join(directory, "teacher.png")
    files.write_png(path, images.grid(pictures), width=768)
    return Verification(
        path,
        float(pictures.mean()),
        float(pictures.std()),
        float(np.mean((pictures == 0) | (pictures == 255))),
        loss,
    )


def _losses(
    teacher: tf.keras.Model,
    image_set: datasets.ImageSet,
    diffusion: DiffusionConfig,
    config: VerifyConfig,
) -> dict[int, float]:
    """The loss on the first images, at time steps spread over the process."""
    alpha_bars = schedules.alpha_bars(diffusion)
    batches = image_set.images().take(config.real_images).batch(_BATCH)
    part = diffusion.timesteps // _LEVELS
    steps = [part // 2 + level * part for level in range(_LEVELS)]

    @tf.function
    def loss(pixels, eps, t):
        return losses.noise_loss(
            lambda x, t: teacher(x, t, training=False),
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
