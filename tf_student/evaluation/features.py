"""Extraction of features, which FID, KID and the Inception Score are computed from."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tf_student.evaluation import statistics
from tf_student.evaluation.cache import Cache
from tf_student.runtime.errors import InputError

# Images of one file of the cache.
CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of n images, mapped from an unnamed file: memory does not grow with n.

    Attributes:
        activations: float32 `[n, dimensions]`.
        logits: float32 `[n, classes]`.
        name: of the images, for messages.
        extractor: identity of the network.
    """

    activations: np.ndarray
    logits: np.ndarray
    name: str = "images"
    extractor: str = ""

    @functools.cached_property
    def statistics(self) -> statistics.Statistics:
        """Mean and covariance of the activations."""
        return statistics.of(self.activations, self.name, self.extractor)


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network that computes features.

    Attributes:
        name: for reports.
        identity: a digest that depends on the weights and on the preprocessing.
        run: from uint8 `[n, height, width, channels]` to float32 activations
            `[n, dimensions]` and logits `[n, classes]`, for any n of at least 1.
    """

    name: str
    identity: str
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def extract(
        self,
        batches: Iterable[np.ndarray],
        name: str = "images",
        *,
        cache: Cache | None = None,
        advance: Callable[[int], object] = lambda count: None,
    ) -> Features:
        """Extracts features; about one batch of images is in memory at a time.

        Args:
            batches: uint8 `[n, height, width, channels]` each.
            name: of the images, for messages.
            cache: provides the features of known images and stores those of others.
            advance: called after each chunk with its number of images.

        Raises:
            InputError: if there are no images, or they are not uint8 images of one size
                with values of 0 to 255.
        """
        spools, largest = (_Spool(), _Spool()), 0
        for images in _chunks(_checked(batches, name)):
            features = self._features(images, cache)
            for spool, part in zip(spools, features, strict=True):
                spool.add(part)
            largest = max(largest, int(images.max()))
            advance(len(images))
        if not spools[0].width:
            raise InputError(f"At least 2 images are needed. Received: 0 of {name}.")
        if largest == 1:
            raise InputError(
                f"Images must have values of 0 to 255. Received: {name} with 0 to 1."
            )
        activations, logits = (spool.array() for spool in spools)
        return Features(activations, logits, name, self.identity)

    def _features(
        self, images: np.ndarray, cache: Cache | None
    ) -> tuple[np.ndarray, np.ndarray]:
        if cache is None:
            return self.run(images)
        key = cache.key(images)
        if cached := cache.get(key):
            return cached
        features = self.run(images)
        cache.put(key, features)
        return features


class _Spool:
    """Collects rows of float32 in an unnamed file."""

    def __init__(self):
        self._file, self.width = tempfile.TemporaryFile(), 0

    def add(self, rows: np.ndarray) -> None:
        self.width = rows.shape[1]
        self._file.write(np.ascontiguousarray(rows, np.float32).data)

    def array(self) -> np.ndarray:
        self._file.flush()
        return np.memmap(self._file, np.float32, "r").reshape(-1, self.width)


def _checked(batches: Iterable[np.ndarray], name: str) -> Iterator[np.ndarray]:
    shape = None
    for batch in batches:
        batch = np.asarray(batch)
        if batch.dtype != np.uint8 or batch.ndim != 4:
            raise InputError(
                "Images must be uint8 [n, height, width, channels], rounded before "
                f"they are measured. Received: {batch.dtype} {list(batch.shape)} of "
                f"{name}."
            )
        shape = shape or batch.shape[1:]
        if batch.shape[1:] != shape:
            raise InputError(
                f"Images must have one size. Received: {name} with "
                f"{list(shape)} and {list(batch.shape[1:])}."
            )
        yield batch


def _chunks(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same images in batches of `CHUNK`, which the cache's keys depend on."""
    pending: list[np.ndarray] = []
    count = 0
    for batch in batches:
        pending.append(batch)
        count += len(batch)
        while count >= CHUNK:
            joined = np.concatenate(pending)
            yield joined[:CHUNK]
            pending, count = [joined[CHUNK:]], count - CHUNK
    if count:
        yield np.concatenate(pending)
