"""Station 5: teacher and student against real images, and any two sets of images."""

import functools
import os

import numpy as np
import tensorflow as tf

from tf_student import datasets, model_directory, noise, streams
from tf_student.config import (
    CompareConfig,
    DataConfig,
    EvaluateConfig,
    RunConfig,
    SamplerConfig,
)
from tf_student.evaluation import extractors
from tf_student.evaluation.result import Evaluation
from tf_student.generator import Generator
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session, sources
from tf_student.stations.measure import Measurement, SameNoise
from tf_student.stations.sources import Source
from tf_student.unet import UNet

# Beyond every range of seeds that is measured by itself.
_SAME_NOISE = noise.EVALUATION + 2**39


def evaluate(
    directory: str,
    teacher_directory: str,
    pairs_directory: str,
    student_directory: str,
    system: Preset,
    run: RunConfig,
    *,
    progress: bool = False,
) -> Evaluation:
    """Measures teacher and student against real images, and against each other.

    The teacher's images come from the pair set as far as it has enough of them, for
    they are its samples already; beyond that the teacher samples. The student never
    saw the noise that it is judged on: that of the held-out pairs, where both are
    compared on the same noise.

    Leaves `evaluation.json`, `evaluation.html` and their pictures, and the statistics
    of each set, in `directory`.

    Raises:
        InputError: if the extractor or a network is missing.
    """
    strategy = session.open_devices(run)
    # At once: what is missing should not show after an hour.
    extractor = _open_extractor(system.evaluate, strategy)
    generator, network = session.teacher_generator(
        strategy, teacher_directory, system.sampler, run
    )
    student = session.student_generator(strategy, student_directory, run)
    pair_set = _own_pairs(pairs_directory, network, system.sampler, run)
    calls = session.network_calls(teacher_directory, system.sampler)
    teacher = sources.from_generator("the teacher", generator, calls)
    if pair_set is not None:
        teacher = _stored_first(teacher, pair_set, run)
    image_set = datasets.load(system.data, generator.shape)
    measurement = Measurement(
        directory, system.evaluate, lambda: extractor, bars=progress
    )
    return measurement.run(
        {
            "teacher": teacher,
            "student": sources.from_generator("the student", student, 1),
        },
        sources.from_images(image_set, system.evaluate.max_real),
        functools.partial(
            _held_out, generator, student, pair_set, system.evaluate.same_noise
        ),
    )


def compare(
    directory: str,
    comparison: CompareConfig,
    system: Preset,
    run: RunConfig,
    *,
    progress: bool = False,
) -> Evaluation:
    """Measures one source of images against another, or against the real images.

    Leaves the same files as `evaluate`.

    Raises:
        InputError: if one of them is not to be had, or they do not fit each other.
    """
    config, strategy = system.evaluate, session.open_devices(run)
    open_source = functools.partial(
        sources.open_source,
        strategy=strategy,
        sampler=system.sampler,
        run=run,
        data_dir=system.data.data_dir,
    )
    source = open_source(comparison.source, option="source")
    against = _against(comparison, source, system.data, config, open_source)
    same_noise = None
    if source.generate and against.generate and source.shape == against.shape:
        same_noise = functools.partial(_same_noise, against, source, config.same_noise)
    extractor = functools.partial(_open_extractor, config, strategy)
    measurement = Measurement(directory, config, extractor, bars=progress)
    return measurement.run({"source": source}, against, same_noise)


def _open_extractor(config: EvaluateConfig, strategy):
    return extractors.load(
        config.extractor,
        strategy,
        device_batch=config.extractor_batch,
        resize=config.resize,
    )


def _against(comparison, source, data: DataConfig, config, open_source) -> Source:
    if not comparison.against:
        image_set = datasets.load(data, source.shape)
        return sources.from_images(image_set, config.max_real)
    return open_source(comparison.against, option="against", shape=source.shape)


def _own_pairs(
    directory: str, teacher: UNet, config: SamplerConfig, run: RunConfig
) -> PairSet | None:
    """The pair set, if its images are those that this teacher would sample."""
    if not tf.io.gfile.exists(os.path.join(directory, records.MANIFEST)):
        return None
    pair_set = PairSet(directory)
    manifest = pair_set.manifest
    its_own = manifest.teacher == model_directory.fingerprint(teacher)
    usable = its_own and manifest.sampler == config and manifest.dtype == run.dtype
    return pair_set if usable else None


def _stored_first(teacher: Source, pair_set: PairSet, run: RunConfig) -> Source:
    """The teacher, with stored images where the set has all that are asked for."""

    def read(first: int, count: int):
        if first + count > pair_set.manifest.pairs.pairs:
            yield from teacher.read(first, count)
            return
        chosen = pair_set.images().skip(first).take(count).batch(run.device_batch)
        with streams.diagnosed(pair_set.diagnose):
            yield from chosen.as_numpy_iterator()

    return Source(
        teacher.name,
        read,
        teacher.shape,
        generate=teacher.generate,
        batch=teacher.batch,
        calls=teacher.calls,
    )


def _held_out(
    teacher: Generator, student: Generator, pair_set: PairSet | None, count: int
) -> SameNoise:
    """Both networks' images of held-out noise, the teacher's from the set if it can."""
    if pair_set is None:
        z = _noise(count, teacher.shape)
        return SameNoise(("teacher", "student"), (teacher(z), student(z)))
    with streams.diagnosed(pair_set.diagnose):
        pairs = list(pair_set.held_out().take(count).as_numpy_iterator())
    z, stored = (np.stack(parts) for parts in zip(*pairs, strict=True))
    return SameNoise(("teacher", "student"), (stored, student(z)))


def _same_noise(a: Source, b: Source, count: int) -> SameNoise:
    z = _noise(count, a.shape)
    return SameNoise((a.name, b.name), (a.generate(z), b.generate(z)))


def _noise(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return noise.normal(0, _SAME_NOISE + np.arange(count), shape).numpy()
