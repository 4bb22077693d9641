"""Station 5: teacher and student against real images, and any two sets of images."""

import dataclasses
import functools
import os

import numpy as np
import tensorflow as tf

from tf_student import datasets, model_directory, noise, streams
from tf_student.config import DataConfig, RunConfig, SamplerConfig
from tf_student.evaluation import extractors
from tf_student.evaluation.config import CompareConfig, EvaluateConfig
from tf_student.evaluation.result import Evaluation
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session, sources
from tf_student.stations.measure import Measurement, SameNoise
from tf_student.stations.sources import Source

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
    they are its samples already. The student never saw the noise that it is judged on:
    where both are compared on the same noise, that of the held-out pairs. Leaves
    `evaluation.json`, `evaluation.html`, pictures and statistics in `directory`.

    Raises:
        InputError: if the extractor or a network is missing.
    """
    strategy = session.open_devices(run)
    # At once: what is missing should not show after an hour.
    extractor = _open_extractor(system.evaluate, strategy)
    teacher, pairs = _teacher(
        strategy, teacher_directory, pairs_directory, system.sampler, run
    )
    student = sources.from_generator(
        "the student", session.student_generator(strategy, student_directory, run), 1
    )
    real = datasets.load(system.data, teacher.shape)
    count = system.evaluate.same_noise
    measurement = Measurement(
        directory, system.evaluate, lambda: extractor, bars=progress
    )
    return measurement.run(
        {"teacher": teacher, "student": student},
        sources.from_images(real, system.evaluate.max_real),
        lambda: _held_out(teacher, student, pairs, count),
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


def _teacher(
    strategy, directory: str, pairs_directory: str, config: SamplerConfig, run
) -> tuple[Source, PairSet | None]:
    """The teacher, and the pair set if its images are those it would sample."""
    generator, network = session.teacher_generator(strategy, directory, config, run)
    calls = session.network_calls(directory, config)
    teacher = sources.from_generator("the teacher", generator, calls)
    if not tf.io.gfile.exists(os.path.join(pairs_directory, records.MANIFEST)):
        return teacher, None
    pair_set = PairSet(pairs_directory)
    manifest = pair_set.manifest
    its_own = manifest.teacher == model_directory.fingerprint(network)
    if not (its_own and manifest.sampler == config and manifest.dtype == run.dtype):
        return teacher, None
    return _stored_first(teacher, pair_set, run), pair_set


def _stored_first(teacher: Source, pair_set: PairSet, run: RunConfig) -> Source:
    """The teacher, with stored images where the set has all that are asked for."""

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
    """Both networks' images of held-out noise, the teacher's from the set if it can."""
    names = ("teacher", "student")
    if pair_set is None:
        found = _same_noise(teacher, student, count)
        return dataclasses.replace(found, names=names)
    with streams.diagnosed(pair_set.diagnose):
        pairs = list(pair_set.held_out().take(count).as_numpy_iterator())
    z, stored = (np.stack(parts) for parts in zip(*pairs, strict=True))
    return SameNoise(names, (stored, student.generate(z)))


def _same_noise(a: Source, b: Source, count: int) -> SameNoise:
    z = noise.normal(0, _SAME_NOISE + np.arange(count), a.shape).numpy()
    return SameNoise((a.name, b.name), (a.generate(z), b.generate(z)))
