"""Measures sources of images against real images, and writes the results."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.evaluation import (
    contender,
    evaluation_files,
    frechet,
    metrics,
    neighbours,
    pictures,
    similarity,
)
from tf_student.evaluation.class_metrics import ClassReference
from tf_student.evaluation.contender import Contender
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.feature_reader import FeatureReader
from tf_student.evaluation.features import Extractor, Features
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.result import Evaluation
from tf_student.evaluation.same_noise import SameNoise
from tf_student.evaluation.similarity import Similarity
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime.errors import InputError

# The picture of nearest neighbours: rows of a generated image and its nearest ones.
_QUERIES, _NEAREST = 8, 7


class Measurement:
    """One evaluation.

    Args:
        directory: gets `evaluation.json`, `evaluation.html`, `evaluation/` with the
            pictures, `statistics/`, and `features/` with the cache; None writes and
            caches nothing.
        config: the metrics and the numbers of images.
        open_extractor: loads the extractor if a source has images.
        bars: whether to draw progress bars on stderr.
    """

    def __init__(
        self,
        directory: str | None,
        config: EvaluateConfig,
        open_extractor: Callable[[], Extractor],
        *,
        bars: bool = False,
    ):
        self._directory, self.config = directory, config
        cache = None
        if directory and config.cache_features:
            cache = os.path.join(directory, evaluation_files.FEATURES)
        self._reader = FeatureReader(open_extractor, cache=cache, bars=bars)

    def run(
        self,
        sources: dict[str, Source],
        real: Source,
        same_noise: Callable[[], SameNoise] | None = None,
    ) -> Evaluation:
        """Measures sources against real images.

        Args:
            sources: by their names in the table.
            real: images or statistics.
            same_noise: generates images of the same noise with two of the sources.

        Raises:
            InputError: if images have different sizes, or a source has too few.
        """
        for source in sources.values():
            _check_size(source, real)
            # Too few images are an error before any features are extracted.
            contender.range_starts(source, self.config)
        # Now, because it must not fail after hours.
        if self._directory:
            tf.io.gfile.makedirs(self._directory)
        with evaluation_files.tidied(self._directory):
            return self._run(sources, real, same_noise)

    def _run(
        self,
        sources: dict[str, Source],
        real: Source,
        same_noise: Callable[[], SameNoise] | None,
    ) -> Evaluation:
        # A generator in place of real images makes as many as each source.
        count = self.config.samples if real.count is None else real.count
        real_features = self._reader.read(real, "real", 0, count)
        reference = metrics.Reference(real_features)
        by_class = _by_class(sources, real, real_features, count)
        contenders = {
            name: contender.measure(
                name, source, reference, self._reader, self.config, by_class
            )
            for name, source in sources.items()
        }
        statistics = {name: c.statistics[0] for name, c in contenders.items()}
        statistics["real"] = reference.statistics
        alike, shown = self._compare(same_noise)
        evaluation = dataclasses.replace(
            self._result(real, count, contenders),
            half_split_fid=_half_split(real_features),
            same_noise=alike,
            warnings=_warnings(list(statistics.values())),
        )
        if self._directory:
            last = list(contenders.values())[-1]
            shown += _nearest_real(last, real, real_features)
            evaluation_files.write(self._directory, evaluation, shown, statistics)
        return evaluation

    def _result(
        self, real: Source, count: int, contenders: dict[str, Contender]
    ) -> Evaluation:
        """The contenders' figures."""
        return Evaluation(
            real=real.name,
            real_count=count,
            half_split_fid=None,
            extractor=self._reader.extractor_name,
            samples=self.config.samples,
            repeats=max(c.measured.ranges for c in contenders.values()),
            networks={name: c.measured for name, c in contenders.items()},
            preparation=real.preparation,
            between=_between(contenders),
        )

    def _compare(
        self, same_noise: Callable[[], SameNoise] | None
    ) -> tuple[Similarity | None, list[pictures.Picture]]:
        """The similarity of images of the same noise, and pictures of them."""
        if same_noise is None or not self.config.same_noise:
            return None, []
        pairs = same_noise()
        first, second = (
            self._reader.extract([images], name, f"{name}, same noise", len(images))
            for name, images in zip(pairs.names, pairs.images, strict=True)
        )
        features = first.activations, second.activations
        alike, cosine = similarity.compare(pairs.images, features)
        return alike, pictures.pairs(pairs.names, pairs.images, cosine)


def _by_class(
    sources: dict[str, Source],
    real: Source,
    real_features: Features | Statistics,
    count: int,
) -> ClassReference:
    classes = max(source.classes for source in sources.values())
    labels = real.labels
    if labels is None or real.classes != classes:
        return ClassReference(real_features, classes, None)
    return ClassReference(real_features, classes, lambda: labels(0, count))


def _half_split(real_features: Features | Statistics) -> float | None:
    # Each half needs at least 2 images.
    if isinstance(real_features, Statistics) or len(real_features.activations) < 4:
        return None
    return frechet.half_split(real_features.activations)


def _between(contenders: dict[str, Contender]) -> metrics.Score | None:
    """FID between teacher and student, over pairs of their ranges."""
    if not {"teacher", "student"} <= contenders.keys():
        return None
    ranges = (contenders[name].statistics for name in ("teacher", "student"))
    distances = [frechet.distance(a, b) for a, b in zip(*ranges, strict=False)]
    return metrics.Score(float(np.mean(distances)), float(np.std(distances)))


def _warnings(statistics: list[Statistics]) -> tuple[str, ...]:
    warnings = [
        warn(stats)
        for warn in (frechet.rank_warning, frechet.origin_warning)
        for stats in statistics
    ]
    # Two sources can be the same file.
    return tuple(dict.fromkeys(text for text in warnings if text))


def _check_size(source: Source, real: Source) -> None:
    if source.shape and real.shape and source.shape != real.shape:
        raise InputError(
            f"{source.name} and {real.name} must have images of one size. "
            f"Received: {list(source.shape)} and {list(real.shape)}."
        )


def _nearest_real(
    measured: Contender, real: Source, real_features: Features | Statistics
) -> list[pictures.Picture]:
    """A picture of a contender's first images beside their nearest real images."""
    generated = measured.first
    if isinstance(generated, Statistics) or isinstance(real_features, Statistics):
        return []
    queries = np.concatenate(list(measured.source.read(0, _QUERIES)))
    indices = neighbours.nearest(
        generated.activations[:_QUERIES], real_features.activations, _NEAREST
    ).tolist()
    images = real.select({index for row in indices for index in row})
    nearest = np.stack([[images[index] for index in row] for row in indices])
    return [pictures.neighbours(measured.source.name, queries, nearest)]
