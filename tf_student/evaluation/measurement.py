"""Measures sources of images against real ones, and leaves what was found."""

import dataclasses
import os
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.evaluation import (
    frechet,
    metrics,
    neighbours,
    pictures,
    report,
    similarity,
)
from tf_student.evaluation.cache import Cache
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.features import Extractor, Features
from tf_student.evaluation.image_sources import SameNoise, Source
from tf_student.evaluation.result import Evaluation, Measured
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime import files, progress
from tf_student.runtime.errors import InputError

# The picture of nearest neighbours: a generated image, then real ones.
_QUERIES, _NEAREST = 8, 7


class Measurement:
    """One evaluation.

    Args:
        directory: gets `evaluation.json`, `evaluation.html`, `evaluation/` with the
            pictures, `statistics/`, and `features/` with the cache; None writes nothing.
        config: what to measure.
        open_extractor: loads the extractor, if any image needs it.
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
        self._directory, self._config, self._bars = directory, config, bars
        self._open_extractor, self._extractor = open_extractor, None

    def run(
        self,
        contenders: dict[str, Source],
        real: Source,
        same_noise: Callable[[], SameNoise] | None = None,
    ) -> Evaluation:
        """Measures contenders, by their names in the table, against real images.

        Args:
            contenders, real: what is measured, and against what.
            same_noise: makes two contenders' images of the same noise.

        Raises:
            InputError: if images do not fit each other or are too few.
        """
        starts = {name: self._starts(s, real) for name, s in contenders.items()}
        known = self._features(real, "real", 0, real.count)
        reference = metrics.Reference(known)
        found, ranges, first = {}, {}, None
        for name, source in contenders.items():
            scored = self._score(name, source, starts[name], reference)
            found[name], ranges[name], first = scored
        alike, drawn = self._compare(same_noise)
        statistics = {name: parts[0] for name, parts in ranges.items()}
        statistics["real"] = reference.statistics
        evaluation = Evaluation(
            real=real.name,
            real_count=real.count,
            half_split_fid=_half_split(known),
            extractor=getattr(self._extractor, "name", "of the statistics"),
            samples=self._config.samples,
            repeats=max(map(len, starts.values())),
            networks=found,
            preparation=real.preparation,
            between=_between(list(ranges.values())),
            same_noise=alike,
            warnings=_warnings(statistics),
        )
        if self._directory:
            drawn += self._neighbours(source, first, real, known)
            self._write(self._directory, evaluation, drawn, statistics)
        return evaluation

    def _score(
        self, name: str, source: Source, starts: list[int], reference: metrics.Reference
    ) -> tuple[Measured, list[Statistics], Features | Statistics]:
        """One contender's figures, its statistics by range, its first range."""
        scores, statistics, first = [], [], None
        for number, start in enumerate(starts):
            label = f"{name} {number + 1}/{len(starts)}"
            part = self._features(source, label, start, self._config.samples)
            infinity = self._config.fid_infinity
            scores.append(reference.measure(part, infinity=infinity))
            statistics.append(part.statistics if _has_images(part) else part)
            first = first or part
        measured = Measured(
            metrics.summed_up(scores),
            source.calls,
            _milliseconds(source) if source.generate else 0.0,
            len(scores),
            "" if source.name == f"the {name}" else source.name,
        )
        return measured, statistics, first

    def _starts(self, source: Source, real: Source) -> list[int]:
        """First image of each range; as many ranges as a set of images has."""
        _check_shapes(source, real)
        count = self._config.samples
        if source.statistics:
            return [0]
        starts = [r * count for r in range(self._config.repeats)]
        if source.count is None:
            return starts
        if source.count < count:
            raise InputError(
                f"`samples` must be at most {source.count}, the images of "
                f"{source.name}. Received: samples={count}."
            )
        return [start for start in starts if start + count <= source.count]

    def _features(
        self, source: Source, label: str, first: int, count: int | None
    ) -> Features | Statistics:
        if source.statistics:
            return source.statistics
        count = self._config.samples if count is None else count
        return self._extract(source.read(first, count), source.name, label, count)

    def _extract(self, batches, name: str, label: str, count: int) -> Features:
        self._extractor = self._extractor or self._open_extractor()
        cache = None
        if self._directory and self._config.cache_features:
            folder = os.path.join(self._directory, "features")
            cache = Cache(folder, self._extractor.identity)
        with progress.bar(
            total=count, done=0, label=label, unit="image", enabled=self._bars
        ) as bar:
            return self._extractor.extract(
                batches, name, cache=cache, advance=bar.update
            )

    def _compare(self, same_noise: Callable[[], SameNoise] | None):
        """How alike images of the same noise are, and pictures of them."""
        if same_noise is None or not self._config.same_noise:
            return None, []
        pairs = same_noise()
        features = [
            self._extract([part], name, f"{name}, same noise", len(part)).activations
            for name, part in zip(pairs.names, pairs.images, strict=True)
        ]
        found, cosine = similarity.compare(pairs.images, tuple(features))
        return found, pictures.pairs(pairs.names, pairs.images, cosine)

    def _neighbours(
        self, source: Source, part, real: Source, known
    ) -> list[pictures.Picture]:
        """A picture of a contender's samples beside their nearest real images."""
        if not _has_images(part) or not _has_images(known):
            return []
        queries = np.concatenate(list(source.read(0, _QUERIES)))
        indices = neighbours.nearest(
            part.activations[:_QUERIES], known.activations, _NEAREST
        )
        chosen = _chosen(real, set(indices.ravel().tolist()))
        nearest = np.stack([[chosen[i] for i in row] for row in indices.tolist()])
        return [pictures.neighbours(source.name, queries, nearest)]

    @staticmethod
    def _write(directory: str, evaluation, drawn, statistics) -> None:
        def part(*names: str) -> str:
            return os.path.join(directory, *names)

        for folder in ("evaluation", "statistics"):
            tf.io.gfile.makedirs(part(folder))
        paths = {}
        for picture in drawn:
            path = paths[picture.caption] = part("evaluation", f"{picture.name}.png")
            picture.write(path)
        for name, found in statistics.items():
            found.save(part("statistics", f"{name}.npz"))
        title = (
            f"tf-student: {', '.join(evaluation.networks)} against {evaluation.real}"
        )
        report.write_report(part("evaluation.html"), title, evaluation, paths)
        files.write_json(part("evaluation.json"), dataclasses.asdict(evaluation))


def _has_images(found: Features | Statistics) -> bool:
    return isinstance(found, Features)


def _half_split(known: Features | Statistics) -> float | None:
    if not _has_images(known) or len(known.activations) < 4:
        return None
    return frechet.half_split(known.activations)


def _between(ranges: list[list[Statistics]]) -> metrics.Score | None:
    """FID between two contenders, range by range."""
    if len(ranges) != 2:
        return None
    values = [frechet.distance(*pair) for pair in zip(*ranges, strict=False)]
    return metrics.Score(float(np.mean(values)), float(np.std(values)))


def _warnings(found: dict[str, Statistics]) -> tuple[str, ...]:
    lines = (
        warn(one)
        for warn in (frechet.rank_warning, frechet.origin_warning)
        for one in found.values()
    )
    return tuple(dict.fromkeys(line for line in lines if line))


def _check_shapes(source: Source, real: Source) -> None:
    if source.shape and real.shape and source.shape != real.shape:
        raise InputError(
            f"{source.name} and {real.name} must have images of one size. "
            f"Received: {list(source.shape)} and {list(real.shape)}."
        )


def _chosen(source: Source, wanted: set[int]) -> dict[int, np.ndarray]:
    """Images of a set by their indices."""
    chosen, first = {}, 0
    for batch in source.read(0, max(wanted) + 1):
        here = range(first, first + len(batch))
        chosen |= {i: batch[i - first] for i in wanted.intersection(here)}
        first += len(batch)
    return chosen


def _milliseconds(source: Source) -> float:
    """Time of one image in a full batch: the best of three, after a warm-up."""
    z = np.zeros((source.batch, *source.shape), np.float32)
    source.generate(z)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        source.generate(z)
        times.append(time.perf_counter() - start)
    return min(times) / source.batch * 1e3
