"""The command `evaluate`: teacher and student against real images."""

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.data import streams
from tf_student.data.data_config import DataConfig
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import (
    extractors,
    image_sources,
    named_sources,
    same_noise,
)
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.measurement import Measurement
from tf_student.evaluation.result import Evaluation
from tf_student.evaluation.same_noise import SameNoise
from tf_student.models.student import Student, as_student
from tf_student.models.teacher import Teacher, as_teacher
from tf_student.pairs import manifests
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

_NAMES = ("teacher", "student")


def evaluate(
    teacher: Teacher | str,
    student: Student | str,
    directory: str | None = None,
    *,
    matched: Student | str | None = None,
    real: DataConfig | str = DataConfig(),
    pairs: PairSet | str | None = None,
    config: EvaluateConfig = EvaluateConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    run: RunConfig = RunConfig(),
    progress: bool = False,
) -> Evaluation:
    """Measures teacher and student against real images, and against each other.

    Args:
        teacher: a teacher or its run directory.
        student: a student or its run directory.
        directory: gets `evaluation.json`, a page, pictures and cached features.
        matched: a student after `match_distribution`, or its directory.
        real: the real images, or the name of their dataset.
        pairs: a pair set or its directory, whose images are used if they fit.
        config: metrics, extractor and numbers of images.
        sampler: solver and steps of the teacher.
        run: how to use the devices.
        progress: whether to draw progress bars on stderr.

    Returns:
        The figures; `print` shows them as a table.

    Raises:
        InputError: if a network, the real images or the extractor are missing.

    Example:

    >>> config = EvaluateConfig(samples=100, repeats=1, extractor="digits")
    >>> evaluate(teacher, student, real="digits", config=config).rows()[0]
    ('', 'teacher', 'student')
    """
    strategy = devices.open_devices(run)
    students = _students(student=student, matched=matched)
    networks = _Networks(as_teacher(teacher), students, sampler, run)
    images = networks.open_real(real, config.max_real)
    measurement = _measurement(directory, config, strategy, progress)
    return networks.measure(measurement, strategy, images, pairs)


def _measurement(
    directory: str | None,
    config: EvaluateConfig,
    strategy: tf.distribute.Strategy,
    progress: bool,
) -> Measurement:
    """Opens the extractor; last of all inputs, because it may have to be trained."""
    extractor = extractors.from_config(config, strategy)
    return Measurement(directory, config, lambda: extractor, bars=progress)


def _students(**given: Student | str | None) -> dict[str, Student]:
    """The students that are given, by name."""
    return {name: as_student(s) for name, s in given.items() if s is not None}


@dataclasses.dataclass(frozen=True)
class _Networks:
    """The networks, and the options of their images."""

    teacher: Teacher
    students: dict[str, Student]
    sampler: SamplerConfig
    run: RunConfig

    def open_real(self, real: DataConfig | str, maximum: int) -> Source:
        """The real images, in the shape of the networks' images."""
        return named_sources.open_real(real, self.teacher.image_shape, maximum)

    def measure(
        self,
        measurement: Measurement,
        strategy: tf.distribute.Strategy,
        real: Source,
        pairs: PairSet | str | None,
    ) -> Evaluation:
        self._check_classes()
        pair_set = self._matching(pairs)
        config = measurement.config
        sources = self._sources(config.dpm_calls, pair_set, strategy)
        return measurement.run(
            sources,
            real,
            lambda: _same_noise(sources, pair_set, config.same_noise),
        )

    def _check_classes(self) -> None:
        for name, student in self.students.items():
            if student.classes != self.teacher.classes:
                raise InputError(
                    f"`{name}` must have the teacher's classes. Expected: "
                    f"{self.teacher.classes}, received: {student.classes}."
                )

    def _sources(
        self, dpm_calls: int, pair_set: PairSet | None, strategy: tf.distribute.Strategy
    ) -> dict[str, Source]:
        """The columns of the table, by name."""
        sources = {"teacher": self._teacher_source(pair_set, strategy)}
        if dpm_calls:
            best = dataclasses.replace(
                self.sampler, spacing="log_snr", calls=dpm_calls, solver="dpm++2m"
            )
            # The sampler of the pairs has its column already.
            if best != self.sampler:
                name = f"teacher, {best.solver}"
                sources[name] = self._sampled(f"the {name}", best, strategy)
        for name, student in self.students.items():
            generator = student.generator(strategy, self.run)
            title = "the student" if name == "student" else f"the {name} student"
            sources[name] = image_sources.from_generator(title, generator, 1)
        return sources

    def _sampled(
        self, name: str, sampler: SamplerConfig, strategy: tf.distribute.Strategy
    ) -> Source:
        """The teacher's images by a sampler."""
        generator = self.teacher.generator(strategy, sampler, self.run)
        calls = self.teacher.network_calls(sampler)
        return image_sources.from_generator(name, generator, calls)

    def _matching(self, pairs: PairSet | str | None) -> PairSet | None:
        """The pair set, if it exists and the teacher would sample its images."""
        if isinstance(pairs, str):
            exists = tf.io.gfile.exists(os.path.join(pairs, manifests.MANIFEST))
            pairs = PairSet(pairs) if exists else None
        if pairs is None:
            return None
        manifest = pairs.manifest
        stored = (manifest.teacher, manifest.diffusion, manifest.sampler)
        teacher = self.teacher
        sampled = (teacher.fingerprint, teacher.diffusion, self.sampler)
        alike = stored == sampled and manifest.dtype == self.run.dtype
        return pairs if alike else None

    def _teacher_source(
        self, pair_set: PairSet | None, strategy: tf.distribute.Strategy
    ) -> Source:
        """The teacher's images: stored ones for the ranges that the pair set has."""
        source = self._sampled("the teacher", self.sampler, strategy)
        if pair_set is None:
            return source

        def read(first: int, count: int) -> Iterator[np.ndarray]:
            if first + count > pair_set.manifest.pairs.pairs:
                yield from source.read(first, count)
                return
            images = pair_set.images().skip(first).take(count)
            with streams.diagnosed(pair_set.diagnose):
                yield from images.batch(self.run.device_batch).as_numpy_iterator()

        # The labels of the stored images, which are those of training noise.
        stored = image_sources.drawn_labels(
            pair_set.manifest.pairs.pairs_seed, noise.TRAINING, self.teacher.classes
        )

        def labels(first: int, count: int) -> np.ndarray:
            beyond = first + count > pair_set.manifest.pairs.pairs
            drawn = source.labels if beyond else stored
            assert drawn is not None
            return drawn(first, count)

        return dataclasses.replace(source, read=read, labels=stored and labels)


def _same_noise(
    sources: dict[str, Source], pair_set: PairSet | None, count: int
) -> SameNoise:
    """Both networks' images of noise that the student was not trained on.

    It is the held-out noise of the pair set, or other evaluation noise without one.
    """
    teacher, student = (sources[name] for name in _NAMES)
    if pair_set is None:
        images = same_noise.generate(teacher, student, count)
        return dataclasses.replace(images, names=_NAMES)
    with streams.diagnosed(pair_set.diagnose):
        held_out = list(pair_set.held_out().take(count).as_numpy_iterator())
    inputs, stored = tf.nest.map_structure(lambda *parts: np.stack(parts), *held_out)
    assert student.generate is not None
    return SameNoise(_NAMES, (stored, student.generate(inputs)))
