"""The command `evaluate`: teacher and student against real images."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from tf_student.data import datasets, streams
from tf_student.data.data_config import DataConfig
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import extractors, image_sources
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.measurement import Measurement, SameNoise
from tf_student.evaluation.result import Evaluation
from tf_student.models.student import Student, as_student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.pairs import manifests
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig


def evaluate(
    teacher: Teacher | str,
    student: Student | str,
    directory: str | None = None,
    *,
    real: DataConfig | str = DataConfig(),
    pairs: PairSet | str | None = None,
    config: EvaluateConfig = EvaluateConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Evaluation:
    """Measures teacher and student against real images, and against each other.

    The student is never measured on noise that it was trained on: where both networks
    are compared on the same noise, it is that of the held-out pairs.

    Args:
        teacher: a teacher or its directory.
        student: a student or its directory.
        directory: gets `evaluation.json`, `evaluation.html`, pictures, statistics and
            cached features; None writes nothing.
        real: the real images, or the name of their dataset.
        pairs: the teacher's images are read from this pair set as far as it reaches,
            if they are those that it would sample; None samples all of them.
        config: the metrics, the extractor, and how many images.
        sampler: the teacher's solver and steps.
        run: how to use the devices.
        progress: whether to draw progress bars on stderr.

    Returns:
        The figures; print them for a table.

    Raises:
        InputError: if the extractor or a network is missing.

    Example:

    >>> print(evaluate(teacher, student, real="digits", config=digits_metrics))
    """
    strategy = devices.open_devices(run)
    # At once, because a missing extractor should not show after an hour.
    extractor = extractors.load(
        config.extractor,
        strategy,
        device_batch=config.extractor_batch,
        resize=config.resize,
    )
    teacher, student = as_teacher(teacher), as_student(student)
    teacher_source, pair_set = _teacher_source(teacher, pairs, strategy, sampler, run)
    student_source = image_sources.from_generator(
        "the student", student.generator(strategy, run), 1
    )
    data = DataConfig(real) if isinstance(real, str) else real
    real_set = datasets.load(data, teacher.image_shape)
    measurement = Measurement(directory, config, lambda: extractor, bars=progress)
    return measurement.run(
        {"teacher": teacher_source, "student": student_source},
        image_sources.from_images(real_set, config.max_real),
        lambda: _held_out(teacher_source, student_source, pair_set, config.same_noise),
    )


def _teacher_source(
    teacher: Teacher, pairs: PairSet | str | None, strategy, sampler, run
) -> tuple[Source, PairSet | None]:
    """The teacher, and the pair set if its images are those it would sample."""
    generator = teacher.generator(strategy, sampler, run)
    calls = teacher.network_calls(sampler)
    source = image_sources.from_generator("the teacher", generator, calls)
    if isinstance(pairs, str):
        exists = tf.io.gfile.exists(os.path.join(pairs, manifests.MANIFEST))
        pairs = PairSet(pairs) if exists else None
    if pairs is None:
        return source, None
    manifest = pairs.manifest
    own = manifest.teacher == teacher.fingerprint
    if not (own and manifest.sampler == sampler and manifest.dtype == run.dtype):
        return source, None
    return _stored_first(source, pairs, run), pairs


def _stored_first(teacher: Source, pair_set: PairSet, run: RunConfig) -> Source:
    """The teacher, with stored images where the set has all of a range."""

    def read(first: int, count: int):
        if first + count > pair_set.manifest.pairs.pairs:
            yield from teacher.read(first, count)
            return
        chosen = pair_set.images().skip(first).take(count).batch(run.device_batch)
        with streams.diagnosed(pair_set.diagnose):
            yield from chosen.as_numpy_iterator()

    return dataclasses.replace(teacher, read=read)


def _held_out(
    teacher: Source, student: Source, pair_set: PairSet | None, count: int
) -> SameNoise:
    """Images of held-out noise by both; the teacher's from the pair set, if any."""
    names = ("teacher", "student")
    if pair_set is None:
        same = image_sources.same_noise(teacher, student, count)
        return dataclasses.replace(same, names=names)
    with streams.diagnosed(pair_set.diagnose):
        pairs = list(pair_set.held_out().take(count).as_numpy_iterator())
    z, stored = (np.stack(parts) for parts in zip(*pairs, strict=True))
    return SameNoise(names, (stored, student.generate(z)))
