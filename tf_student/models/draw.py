"""The commands `sample` and `interpolate`: pictures of finished networks."""

import os

import numpy as np
import tensorflow as tf

from tf_student.data import grids
from tf_student.diffusion import interpolation, noise
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.draw_config import InterpolateConfig, SampleConfig
from tf_student.models.student import Student, as_student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig

_COLUMNS = 16
_WIDTH = 768


def draw_samples(
    teacher: Teacher | str | None,
    student: Student | str | None,
    directory: str,
    *,
    config: SampleConfig = SampleConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> str:
    """Writes images as a grid, `samples.png`, and one by one below `samples/`.

    With both networks, rows of the teacher alternate with rows of the student on the
    same noise.

    Args:
        teacher: a teacher or its directory; None leaves it out.
        student: a student or its directory; None leaves it out.
        directory: where to write.
        config: number and seed of the images.
        sampler: of the teacher.
        run: how to use the devices.

    Returns:
        The path of the grid.
    """
    count, seed = config.count, config.seed
    drawn = {}
    if teacher is not None:
        drawn["teacher"] = as_teacher(teacher).sample(
            count, seed, sampler=sampler, run=run
        )
    if student is not None:
        drawn["student"] = as_student(student).generate(count, seed, run=run)
    for name, images in drawn.items():
        folder = os.path.join(directory, "samples", name)
        tf.io.gfile.makedirs(folder)
        for number, image in enumerate(images):
            grids.write_png(os.path.join(folder, f"{number:06d}.png"), image)
    path = os.path.join(directory, "samples.png")
    rows = grids.alternate_rows(list(drawn.values()), _COLUMNS)
    grids.write_png(path, grids.grid(rows, _COLUMNS), width=_WIDTH)
    return path


def draw_interpolations(
    student: Student | str,
    directory: str,
    *,
    config: InterpolateConfig = InterpolateConfig(),
    run: RunConfig = RunConfig(),
) -> str:
    """Writes spherical interpolations of the noise, one a row, as `interpolation.png`.

    Returns:
        The path of the picture.
    """
    generator = as_student(student).generator(devices.open_devices(run), run)
    weights = tf.linspace(0.0, 1.0, config.columns)
    ends = noise.normal(
        config.seed, noise.EVALUATION + np.arange(2 * config.rows), generator.shape
    )
    walks = [
        interpolation.slerp(ends[2 * row], ends[2 * row + 1], weights)
        for row in range(config.rows)
    ]
    tf.io.gfile.makedirs(directory)
    path = os.path.join(directory, "interpolation.png")
    images = generator(tf.concat(walks, axis=0).numpy())
    grids.write_png(path, grids.grid(images, config.columns), width=_WIDTH)
    return path
