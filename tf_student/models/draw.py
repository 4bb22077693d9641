"""The commands `sample` and `interpolate`: images of finished networks as files."""

import os

import numpy as np
import tensorflow as tf

from tf_student.data import grids
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import interpolation, noise
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models import sample_folder
from tf_student.models.draw_config import COLUMNS, InterpolateConfig, SampleConfig
from tf_student.models.generator import Generator
from tf_student.models.student import Student, as_student
from tf_student.models.teacher import Teacher, as_teacher, check_guidance
from tf_student.runtime import devices, leftovers
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

_GRID, _INTERPOLATION = "samples.png", "interpolation.png"
_WIDTH = 768


def draw_samples(
    teacher: Teacher | str | None,
    student: Student | str | None,
    directory: str,
    *,
    matched: Student | str | None = None,
    config: SampleConfig = SampleConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
) -> str:
    """Writes images as a grid, `samples.png`, and one by one into `samples/`.

    Rows of teacher, student and matched student alternate, on the same noise. They
    replace the images of an earlier draw.

    Args:
        teacher: a teacher or its run directory; None omits it.
        student: a student or its run directory; None omits it.
        directory: where to write the files.
        matched: a student after `match_distribution`, or its run directory.
        config: number, seed and classes of the images.
        sampler: the teacher's sampler.
        run: how to use the devices.

    Returns:
        The path of the grid.

    Raises:
        InputError: if there is no network, or one cannot be loaded or lacks classes; if
            a folder has numbered images of others, or another process writes to it.

    Example:

    >>> draw_samples(teacher, student, "runs/digits", config=SampleConfig(count=4),
    ...              sampler=SamplerConfig(calls=2))
    'runs/digits/samples.png'
    """
    students = {"student": student, "matched": matched}
    samples = os.path.join(directory, "samples")
    for name, network in {"teacher": teacher, **students}.items():
        if network is not None:
            sample_folder.check_images(os.path.join(samples, name), config.images)
    networks = _open(teacher, students, config, sampler)
    with leftovers.making(samples):
        return _write(directory, _draw(networks, config, sampler, run))


def _write(directory: str, drawn: dict[str, np.ndarray]) -> str:
    """Writes the images of each network and the grid, and returns the grid's path."""
    samples, path = os.path.join(directory, "samples"), os.path.join(directory, _GRID)
    with leftovers.locked(samples):
        for name, images in drawn.items():
            sample_folder.write(os.path.join(samples, name), images)
        leftovers.remove(directory, {_GRID}.__contains__)
        rows = grids.alternate_rows(list(drawn.values()), COLUMNS)
        grids.write_png(path, grids.grid(rows, COLUMNS), width=_WIDTH)
    return path


def _open(
    teacher: Teacher | str | None,
    students: dict[str, Student | str | None],
    config: SampleConfig,
    sampler: SamplerConfig,
) -> dict[str, Teacher | Student]:
    """The networks by name, all of which can draw what is asked for."""
    networks: dict[str, Teacher | Student] = {
        name: as_student(student)
        for name, student in students.items()
        if student is not None
    }
    if teacher is not None:
        opened = as_teacher(teacher)
        check_guidance(opened.unet.config, sampler)
        networks = {"teacher": opened, **networks}
    if not networks:
        raise InputError("`teacher` or `student` must be a network. Received: None.")
    if (labels := config.image_labels) is not None:
        for network in networks.values():
            network_inputs.check_labels(labels, config.images, network.classes)
    return networks


def _draw(
    networks: dict[str, Teacher | Student],
    config: SampleConfig,
    sampler: SamplerConfig,
    run: RunConfig,
) -> dict[str, np.ndarray]:
    """Images of each network by its name."""
    count, seed, labels = config.images, config.seed, config.image_labels
    return {
        name: network.sample(count, seed, labels=labels, sampler=sampler, run=run)
        if isinstance(network, Teacher)
        else network.generate(count, seed, labels=labels, run=run)
        for name, network in networks.items()
    }


def draw_interpolations(
    student: Student | str,
    directory: str,
    *,
    config: InterpolateConfig = InterpolateConfig(),
    run: RunConfig = RunConfig(),
) -> str:
    """Writes images of interpolated noise, one interpolation a row.

    The noise of a row is the spherical interpolation between the noise of two images.

    Args:
        student: a student or its run directory.
        directory: where to write `interpolation.png`; it is created if it is missing.
        config: number, length and seed of the interpolations.
        run: how to use the devices.

    Returns:
        The path of the file.

    Raises:
        InputError: if the student cannot be loaded or lacks the classes.

    Example:

    >>> draw_interpolations(student, "runs/digits",
    ...                     config=InterpolateConfig(rows=2, columns=4))
    'runs/digits/interpolation.png'
    """
    generator = as_student(student).generator(devices.open_devices(run), run)
    path = os.path.join(directory, _INTERPOLATION)
    with leftovers.making(directory):
        images = generator(_between(generator, config))
        with leftovers.tidied(directory, {_INTERPOLATION}.__contains__):
            grids.write_png(path, grids.grid(images, config.columns), width=_WIDTH)
    return path


def _between(generator: Generator, config: InterpolateConfig) -> network_inputs.Inputs:
    """The inputs of all rows, from the first row to the last."""
    indices = noise.EVALUATION + np.arange(2 * config.rows)
    ends = noise.normal(config.seed, indices, generator.shape)
    weights = tf.linspace(0.0, 1.0, config.columns)
    rows = [
        interpolation.slerp(ends[2 * row], ends[2 * row + 1], weights)
        for row in range(config.rows)
    ]
    z = tf.concat(rows, axis=0).numpy()
    classes = generator.classes
    if config.labels:
        network_inputs.check_labels(config.labels, len(config.labels), classes)
        labels = np.resize(config.labels, config.rows)
    elif classes:
        labels = network_inputs.labels(config.seed, indices[::2], classes).numpy()
    else:
        return z
    return z, np.repeat(labels, config.columns).astype(np.int32)
