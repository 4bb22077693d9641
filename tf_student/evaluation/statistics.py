"""Mean and covariance of features, computed batch by batch, and their .npz files."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError

_BLOCK = 2048


class Statistics:
    """Mean and unbiased covariance of n feature vectors.

    Outer products are added up in float64, relative to the mean of the first batch.
    Memory does not grow with n, and the final subtraction loses little precision.

    Args:
        name: of the images, for messages.
        extractor: identity of the network that computed the features; empty if it is
            unknown.

    Attributes:
        n: number of vectors; 0 if a file does not store it.
    """

    def __init__(self, name: str = "images", extractor: str = ""):
        self.name, self.extractor = name, extractor
        self.n = 0
        # Empty until the first features arrive.
        self._origin = self._sum = np.zeros(0)
        self._outer = np.zeros((0, 0))

    def add(self, batch: np.ndarray) -> None:
        """Adds features `[batch, dimensions]`.

        Raises:
            InputError: if a value is not finite.
        """
        batch = np.asarray(batch, np.float64)
        if not np.isfinite(batch).all():
            raise InputError(
                f"Features must be finite. Received: {self.name} with NaN or infinity."
            )
        if not self._origin.size:
            self._origin = batch.mean(axis=0)
            self._sum = np.zeros_like(self._origin)
            self._outer = np.zeros([batch.shape[1]] * 2)
        centred = batch - self._origin
        self.n += len(batch)
        self._sum += centred.sum(axis=0)
        # BLAS recognizes the symmetric product and computes half of it.
        self._outer += centred.T @ centred

    @property
    def mean(self) -> np.ndarray:
        """Mean of the features, float64 `[dimensions]`."""
        return self._origin + self._sum / max(self.n, 1)

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance of the features, float64 `[dimensions, dimensions]`."""
        # A file without a count stores the covariance itself.
        if not self.n:
            return self._outer
        shift = np.outer(self._sum, self._sum / self.n)
        return (self._outer - shift) / (self.n - 1)

    @property
    def dimensions(self) -> int:
        """Length of a feature vector."""
        return len(self._origin)

    def save(self, path: str) -> None:
        """Writes `mu` and `sigma` as pytorch-fid does, with `n` and `extractor`.

        The write is atomic.
        """
        arrays = {
            "mu": self.mean,
            "sigma": self.covariance,
            "n": np.int64(self.n),
            "extractor": np.str_(self.extractor),
            "images": np.str_(self.name),
        }
        files.write_npz(path, arrays)


def of(
    activations: np.ndarray, name: str = "images", extractor: str = ""
) -> Statistics:
    """Computes the statistics of features `[n, dimensions]`, which may be a memmap.

    Raises:
        InputError: if there are fewer than 2 vectors, or a value is not finite.
    """
    if activations.ndim != 2 or len(activations) < 2:
        raise InputError(
            "Statistics need at least 2 images. "
            f"Received: {len(activations)} of {name}."
        )
    statistics = Statistics(name, extractor)
    for start in range(0, len(activations), _BLOCK):
        statistics.add(activations[start : start + _BLOCK])
    return statistics


def has_statistics(path: str) -> bool:
    """Whether an .npz file holds statistics rather than images."""
    with _opened(path) as arrays:
        return {"mu", "sigma"} <= set(arrays)


def load(path: str) -> Statistics:
    """Reads an .npz file with `mu` and `sigma`, of this library or another program.

    Raises:
        InputError: if the file is damaged, or does not hold a mean and a covariance.
    """
    with _opened(path) as arrays:
        mu, sigma = (np.asarray(arrays[k], np.float64) for k in ("mu", "sigma"))
        n = int(arrays["n"]) if "n" in arrays else 0
        extractor = str(arrays["extractor"]) if "extractor" in arrays else ""
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or n < 0 or n == 1:
        raise InputError(
            f"{path} must hold mu [d] and sigma [d, d]. Received: {list(mu.shape)} and "
            f"{list(sigma.shape)}, n={n}."
        )
    if not np.isfinite(mu).all() or not np.isfinite(sigma).all():
        raise InputError(f"{path} must hold finite statistics. Received: NaN or inf.")
    if not np.allclose(sigma, sigma.T, rtol=1e-4, atol=1e-6 * np.abs(sigma).max()):
        raise InputError(
            f"{path} must hold a symmetric sigma. Received: an asymmetric one."
        )
    statistics = Statistics(path, extractor)
    statistics.n, statistics._origin = n, mu
    statistics._sum = np.zeros_like(mu)
    statistics._outer = sigma * (n - 1) if n else sigma
    return statistics


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        with files.open_npz(path) as arrays:
            yield arrays
    except tf.errors.NotFoundError as error:
        raise InputError(f"The statistics must exist. Received: {path}.") from error
