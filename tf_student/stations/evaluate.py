"""Station 5: teacher and student against real images."""

import dataclasses
import os
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student import datasets, files, model_directory, noise, streams
from tf_student.config import RunConfig, SamplerConfig
from tf_student.evaluation import features, metrics
from tf_student.evaluation.result import Evaluation, Measured
from tf_student.generator import Generator
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.presets import Preset
from tf_student.stations import session
from tf_student.unet import UNet


def evaluate(
    directory: str,
    teacher_directory: str,
    pairs_directory: str,
    student_directory: str,
    system: Preset,
    run: RunConfig,
) -> Evaluation:
    """Measures teacher and student against the real images; writes evaluation.json.

    The teacher's images come from the pair set as far as it has enough of them, for
    they are its samples already; beyond that the teacher samples. The student never
    saw the noise that it is judged on.

    Raises:
        InputError: if the extractor or a network is missing.
    """
    config = system.evaluate
    extractor = features.load(config.extractor)
    strategy = session.open_devices(run)
    teacher, network = session.teacher_generator(
        strategy, teacher_directory, system.sampler, run
    )
    student = session.student_generator(strategy, student_directory, run)
    image_set = datasets.load(system.data, teacher.shape)
    with streams.diagnosed(image_set.diagnose):
        real = extractor.extract(
            batch.numpy() for batch in image_set.images().batch(run.device_batch)
        )
    stored = _stored_images(pairs_directory, network, system.sampler, run)

    def score(sources) -> dict[str, metrics.Score]:
        ranges = [r * config.samples for r in range(config.repeats)]
        return metrics.scores(
            real, [extractor.extract(sources(r, config.samples)) for r in ranges]
        )

    evaluation = Evaluation(
        real=image_set.name,
        real_count=image_set.count,
        half_split_fid=metrics.half_split_fid(real),
        extractor=extractor.name,
        samples=config.samples,
        repeats=config.repeats,
        networks={
            "teacher": Measured(
                score(
                    lambda first, n: stored(first, n) or _generated(teacher, first, n)
                ),
                session.network_calls(teacher_directory, system.sampler),
                _milliseconds(teacher),
            ),
            "student": Measured(
                score(lambda first, n: _generated(student, first, n)),
                1,
                _milliseconds(student),
            ),
        },
    )
    tf.io.gfile.makedirs(directory)
    path = os.path.join(directory, "evaluation.json")
    files.write_json(path, dataclasses.asdict(evaluation))
    return evaluation


def _generated(generator: Generator, first: int, count: int) -> Iterator[np.ndarray]:
    """Batches of images of noise that no network was trained on."""
    for start in range(first, first + count, generator.batch):
        size = min(generator.batch, first + count - start)
        yield generator.from_seed(0, noise.EVALUATION + start, size)


def _stored_images(
    directory: str, teacher: UNet, config: SamplerConfig, run: RunConfig
):
    """A source of the teacher's images in the pair set, if they are its own.

    Returns:
        A function of (first, count) that returns batches of uint8 images, or None
        where the set has too few.
    """
    if not tf.io.gfile.exists(os.path.join(directory, records.MANIFEST)):
        return lambda first, count: None
    pair_set = PairSet(directory)
    manifest = pair_set.manifest
    its_own = manifest.teacher == model_directory.fingerprint(teacher)
    usable = its_own and manifest.sampler == config and manifest.dtype == run.dtype

    def batches(first, count):
        if not usable or first + count > manifest.pairs.pairs:
            return None
        chosen = pair_set.images().skip(first).take(count).batch(run.device_batch)
        return _read(chosen, pair_set)

    return batches


def _read(chosen: tf.data.Dataset, pair_set: PairSet) -> Iterator[np.ndarray]:
    with streams.diagnosed(pair_set.diagnose):
        yield from chosen.as_numpy_iterator()


def _milliseconds(generator: Generator) -> float:
    """Time of one image in a full batch: the best of three, after a warm-up."""
    z = np.zeros((generator.batch, *generator.shape), np.float32)
    generator(z)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        generator(z)
        times.append(time.perf_counter() - start)
    return min(times) / generator.batch * 1e3
