"""Features of sources of images, with a cache and a progress bar."""

from collections.abc import Callable, Iterable

import numpy as np

from tf_student.evaluation.cache import Cache
from tf_student.evaluation.features import Extractor, Features
from tf_student.evaluation.image_sources import Source
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime import progress


class FeatureReader:
    """Reads features of sources with one extractor.

    Args:
        open_extractor: loads the extractor. It is called by `open` or for the first
            images that are read, and not at all if every source is a file of
            statistics.
        cache: directory of the cache; None caches nothing.
        bars: whether to draw progress bars on stderr.
    """

    def __init__(
        self,
        open_extractor: Callable[[], Extractor],
        *,
        cache: str | None = None,
        bars: bool = False,
    ):
        self._open_extractor, self._cache, self._bars = open_extractor, cache, bars
        self._extractor: Extractor | None = None

    def open(self) -> Extractor:
        """Returns the extractor, which is loaded at the first call."""
        if self._extractor is None:
            self._extractor = self._open_extractor()
        return self._extractor

    @property
    def extractor_name(self) -> str:
        """The extractor's name, for reports."""
        if self._extractor is None:
            return "those of the statistics files"
        return self._extractor.name

    def read(
        self, source: Source, label: str, first: int, count: int
    ) -> Features | Statistics:
        """Features of a range of images, or the source's own statistics.

        Args:
            source: of the images.
            label: of the progress bar.
            first: index of the first image.
            count: number of images.
        """
        if source.statistics:
            return source.statistics
        return self.extract(source.read(first, count), source.name, label, count)

    def extract(
        self, batches: Iterable[np.ndarray], name: str, label: str, count: int
    ) -> Features:
        """Features of batches of uint8 images `[n, height, width, channels]`.

        Args:
            batches: of the images.
            name: of the images, for messages.
            label: of the progress bar.
            count: number of images.
        """
        extractor = self.open()
        cache = Cache(self._cache, extractor.identity) if self._cache else None
        with progress.bar(
            total=count, done=0, label=label, unit="image", enabled=self._bars
        ) as bar:
            return extractor.extract(batches, name, cache=cache, advance=bar.update)
