"""Measures one source of images over several ranges of seeds."""

import dataclasses
import time

import numpy as np

from tf_student.evaluation import metrics
from tf_student.evaluation.class_metrics import ClassReference
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.feature_reader import FeatureReader
from tf_student.evaluation.features import Features
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.result import Measured
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime.errors import InputError

_TIMED_CALLS = 3


@dataclasses.dataclass(frozen=True)
class Contender:
    """A source and its figures.

    Attributes:
        source: of the images.
        measured: the figures.
        statistics: of the features, for each range.
        first: features of the first range, or the source's own statistics.
    """

    source: Source
    measured: Measured
    statistics: list[Statistics]
    first: Features | Statistics


def range_starts(source: Source, config: EvaluateConfig) -> list[int]:
    """Index of the first image of each range: as many ranges as the source has.

    Raises:
        InputError: if the source has fewer images than one range.
    """
    if source.statistics:
        return [0]
    starts = [number * config.samples for number in range(config.repeats)]
    if source.count is None:
        return starts
    if source.count < config.samples:
        raise InputError(
            f"`samples` must be at most {source.count}, the images of {source.name}. "
            f"Received: samples={config.samples}."
        )
    return [start for start in starts if start + config.samples <= source.count]


def measure(
    name: str,
    source: Source,
    reference: metrics.Reference,
    reader: FeatureReader,
    config: EvaluateConfig,
    by_class: ClassReference,
) -> Contender:
    """Measures a source against the real images.

    Args:
        name: of the contender in the table.
        source: of the images.
        reference: the real images.
        reader: extracts the features.
        config: the number and the size of the ranges.
        by_class: the real images by class.
    """
    starts = range_starts(source, config)
    values, statistics = [], []
    for number, start in enumerate(starts):
        label = f"{name} {number + 1}/{len(starts)}"
        images = reader.read(source, label, start, config.samples)
        value = reference.measure(images, infinity=config.fid_infinity)
        if source.labels is not None:
            labels = source.labels(start, config.samples)
            value |= by_class.measure(images, labels)
        values.append(value)
        statistics.append(metrics.statistics_of(images))
        if not number:
            first = images
    measured = Measured(
        metrics.summarize(values),
        source.calls,
        _milliseconds(source),
        len(starts),
        "" if source.name in (f"the {name}", f"the {name} student") else source.name,
    )
    return Contender(source, measured, statistics, first)


def _milliseconds(source: Source) -> float:
    """Time for each image of a full batch; 0 if the source is not a generator.

    It is the shortest of three times, after a call that compiles the generator.
    """
    if source.generate is None or source.shape is None:
        return 0.0
    z = np.zeros((source.batch, *source.shape), np.float32)
    inputs = (z, np.zeros(source.batch, np.int32)) if source.classes else z
    source.generate(inputs)
    times = []
    for _ in range(_TIMED_CALLS):
        start = time.perf_counter()
        source.generate(inputs)
        times.append(time.perf_counter() - start)
    return min(times) / source.batch * 1e3
