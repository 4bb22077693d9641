"""Mean and covariance of features, gathered batch by batch, and as an .npz file."""

import zipfile
import zlib

import numpy as np
import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError

_BLOCK = 2048
_DAMAGED = (ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


class Statistics:
    """Mean and unbiased covariance of n feature vectors.

    Sums of outer products are gathered in float64, about the mean of the first batch,
    so that memory does not grow with n and little is lost when the sums are
    subtracted.

    Attributes:
        n: vectors; 0 if a file does not say.
        mean: float64 `[dimensions]`.
        covariance: float64 `[dimensions, dimensions]`, divided by n - 1.
        extractor: identity of the network that made them; empty if unknown.
        name: of the images, for messages.
    """

    def __init__(self, name: str = "images", extractor: str = ""):
        self.name, self.extractor = name, extractor
        self.n = 0
        self._origin = self._sum = self._outer = None

    def add(self, batch: np.ndarray) -> None:
        """Takes features `[batch, dimensions]` in.

        Raises:
            InputError: if one of them is not finite.
        """
        batch = np.asarray(batch, np.float64)
        if not np.isfinite(batch).all():
            raise InputError(
                f"Features must be finite. Received: {self.name} with NaN or infinity."
            )
        if self._origin is None:
            self._origin = batch.mean(axis=0)
            self._sum = np.zeros_like(self._origin)
            self._outer = np.zeros([batch.shape[1]] * 2)
        centred = batch - self._origin
        self.n += len(batch)
        self._sum += centred.sum(axis=0)
        # BLAS sees the symmetry, and computes half.
        self._outer += centred.T @ centred

    @property
    def mean(self) -> np.ndarray:
        """Of the features."""
        return self._origin + self._sum / max(self.n, 1)

    @property
    def covariance(self) -> np.ndarray:
        """Of the features, unbiased."""
        # A file's own covariance, which has no count to divide by.
        if not self.n:
            return self._outer
        shift = np.outer(self._sum, self._sum / self.n)
        return (self._outer - shift) / (self.n - 1)

    @property
    def dimensions(self) -> int:
        """Of a feature vector."""
        return len(self._origin)

    def save(self, path: str) -> None:
        """Writes `mu` and `sigma`, as pytorch-fid reads them, with `n` and `extractor`.

        The file appears whole or not at all.
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
    """The statistics of features `[n, dimensions]`, in memory or mapped from a file."""
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
    """Whether an .npz file holds statistics and not images."""
    with _opened(path) as arrays:
        return {"mu", "sigma"} <= set(arrays.files)


def load(path: str) -> Statistics:
    """Reads an .npz with `mu` and `sigma`, ours or another program's.

    Raises:
        InputError: if it is damaged, or they are no mean and covariance.
    """
    with _opened(path) as arrays:
        try:
            mu, sigma = (np.asarray(arrays[k], np.float64) for k in ("mu", "sigma"))
            n = int(arrays["n"]) if "n" in arrays.files else 0
            extractor = str(arrays["extractor"]) if "extractor" in arrays.files else ""
        except _DAMAGED as error:
            raise _damaged(path, error) from error
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or n < 0 or n == 1:
        raise InputError(
            f"{path} must hold mu [d] and sigma [d, d]. Received: {list(mu.shape)} and "
            f"{list(sigma.shape)}, n={n}."
        )
    if not np.isfinite(mu).all() or not np.isfinite(sigma).all():
        raise InputError(f"{path} must hold finite statistics. Received: NaN or inf.")
    if not np.allclose(sigma, sigma.T, rtol=1e-4, atol=1e-6 * np.abs(sigma).max()):
        raise InputError(f"{path} must hold a symmetric sigma. Received: another.")
    statistics = Statistics(path, extractor)
    statistics.n, statistics._origin = n, mu
    statistics._sum = np.zeros_like(mu)
    statistics._outer = sigma * (n - 1) if n else sigma
    return statistics


def _opened(path: str):
    if not tf.io.gfile.exists(path):
        raise InputError(f"The statistics must exist. Received: {path}.")
    try:
        return np.load(tf.io.gfile.GFile(path, "rb"))
    except (*_DAMAGED, tf.errors.OpError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> InputError:
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else "it is cut off"
    return InputError(f"{path} is not an .npz file of arrays: {reason}.")
