"""Station 4: images of finished networks."""

import os

import numpy as np
import tensorflow as tf

from tf_student import files, images, noise, sampler
from tf_student.config import InterpolateConfig, RunConfig, SampleConfig, SamplerConfig
from tf_student.stations import session

_COLUMNS = 16


def sample(
    directory: str,
    teacher_directory: str,
    student_directory: str,
    config: SampleConfig,
    sampler_config: SamplerConfig,
    run: RunConfig,
) -> str:
    """Draws images as a grid, `samples.png`, and one by one below `samples/`.

    With `what=both` the teacher's rows alternate with the student's on the same noise.

    Returns:
        The path of the grid.
    """
    strategy = session.open_devices(run)
    drawn = {}
    if config.what in ("teacher", "both"):
        generator, _ = session.teacher_generator(
            strategy, teacher_directory, sampler_config, run
        )
        drawn["teacher"] = generator.from_seed(
            config.seed, noise.EVALUATION, config.count
        )
    if config.what in ("student", "both"):
        generator = session.student_generator(strategy, student_directory, run)
        drawn["student"] = generator.from_seed(
            config.seed, noise.EVALUATION, config.count
        )
    tf.io.gfile.makedirs(directory)
    for who, pictures in drawn.items():
        folder = os.path.join(directory, "samples", who)
        tf.io.gfile.makedirs(folder)
        for number, picture in enumerate(pictures):
            images.write_png(os.path.join(folder, f"{number:06d}.png"), picture)
    path = os.path.join(directory, "samples.png")
    _write_grid(path, images.alternate_rows(list(drawn.values()), _COLUMNS), _COLUMNS)
    return path


def interpolate(
    directory: str, student_directory: str, config: InterpolateConfig, run: RunConfig
) -> str:
    """Draws spherical walks through the noise, one a row, as `interpolation.png`.

    Returns:
        Its path.
    """
    generator = session.student_generator(
        session.open_devices(run), student_directory, run
    )
    weights = tf.linspace(0.0, 1.0, config.columns)
    ends = noise.normal(
        config.seed, noise.EVALUATION + np.arange(2 * config.rows), generator.shape
    )
    walks = [
        sampler.slerp(ends[2 * row], ends[2 * row + 1], weights)
        for row in range(config.rows)
    ]
    tf.io.gfile.makedirs(directory)
    path = os.path.join(directory, "interpolation.png")
    _write_grid(path, generator(tf.concat(walks, axis=0).numpy()), config.columns)
    return path


def _write_grid(path: str, pictures: np.ndarray, columns: int) -> None:
    sheet = images.grid(pictures, columns)
    files.write_png(path, sheet, width=768)
