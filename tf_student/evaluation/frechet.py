"""The Frechet distance of Gaussians (arXiv 1706.08500), and its limit for large n."""

import numpy as np

from tf_student.evaluation import statistics
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime.errors import InputError

# Largest |R R - C| / |C| of a square root R that is believed.
_RESIDUAL = 1e-8
_SIZES = 15


class Reference:
    """Statistics to which many others are compared; their root is taken once.

    Args:
        reference: usually of the real images.
    """

    def __init__(self, reference: Statistics):
        self.statistics = reference
        self._root = symmetric_root(reference.covariance, reference.name)

    def distance(self, other: Statistics) -> float:
        """|m - m'|^2 + tr(C) + tr(C') - 2 tr((C^1/2 C' C^1/2)^1/2), in float64.

        The last trace is that of (C C')^1/2, and the sum of the square roots of the
        eigenvalues of a symmetric matrix.

        Raises:
            InputError: if the statistics are of another extractor.
        """
        _check(self.statistics, other)
        covariance = other.covariance
        product = self._root @ covariance @ self._root
        eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
        trace = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
        means = self.statistics.mean - other.mean
        own = np.trace(self.statistics.covariance) + np.trace(covariance)
        return float(means @ means + own - 2 * trace)

    def infinity(self, activations: np.ndarray, seed: int = 0) -> float:
        """The distance for endless images: FID-infinity (arXiv 1911.07023, sec. 3).

        FID falls linearly in 1/n; the distances of random subsets of 15 sizes, from a
        tenth of the images to all of them, give the line, and its value at 0 is the
        result.
        """
        n = len(activations)
        order = np.random.default_rng(seed).permutation(n)
        sizes = np.linspace(max(n // 10, 2), n, _SIZES).astype(int)
        distances = [
            self.distance(self._of(activations, np.sort(order[:size])))
            for size in sizes
        ]
        return float(np.polyfit(1 / sizes, distances, 1)[1])

    def _of(self, activations: np.ndarray, rows: np.ndarray) -> Statistics:
        found = Statistics(extractor=self.statistics.extractor)
        for part in np.array_split(rows, -(-len(rows) // 2048)):
            found.add(activations[part])
        return found


def distance(a: Statistics, b: Statistics) -> float:
    """The Frechet distance of two sets of features, from their statistics."""
    return Reference(a).distance(b)


def symmetric_root(covariance: np.ndarray, name: str = "covariance") -> np.ndarray:
    """R with R R = C and R = R^T, of a symmetric C that is not negative.

    Raises:
        InputError: if R R is not C: a covariance with truly negative eigenvalues.
    """
    symmetric = (covariance + covariance.T) / 2
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    root = (vectors * np.sqrt(np.clip(eigenvalues, 0, None))) @ vectors.T
    scale = max(float(np.linalg.norm(symmetric)), np.finfo(np.float64).tiny)
    residual = float(np.linalg.norm(root @ root - symmetric)) / scale
    if not residual <= _RESIDUAL:
        raise InputError(
            f"The covariance of {name} has no square root: relative residual "
            f"{residual:.1e}, at most {_RESIDUAL:.0e} expected."
        )
    return root


def half_split(activations: np.ndarray) -> float:
    """Distance of two random halves of one set: what a perfect copy would get.

    A small set scores badly against its own other half, so a generator that is
    compared with the whole set can come out lower.
    """
    order = np.random.default_rng(0).permutation(len(activations))
    halves = [
        statistics.of(activations[np.sort(part)], "half of the real images")
        for part in np.array_split(order, 2)
    ]
    return distance(*halves)


def rank_warning(found: Statistics) -> str | None:
    """What to say where a covariance cannot have full rank."""
    if not 0 < found.n <= found.dimensions:
        return None
    return (
        f"{found.name}: {found.n:,} images for {found.dimensions:,} feature "
        "dimensions: the covariance lacks rank, and FID is biased upwards."
    )


def origin_warning(found: Statistics) -> str | None:
    """What to say where nobody knows whose features the statistics are of."""
    if found.extractor:
        return None
    return (
        f"{found.name} does not say which extractor it is of: FID holds if the other "
        "side's is the same."
    )


def _check(a: Statistics, b: Statistics) -> None:
    if a.dimensions != b.dimensions:
        raise InputError(
            f"{a.name} and {b.name} must be features of one extractor. "
            f"Received: {a.dimensions:,} and {b.dimensions:,} dimensions."
        )
    if a.extractor and b.extractor and a.extractor != b.extractor:
        raise InputError(
            f"{a.name} and {b.name} must be features of one extractor. "
            f"Received: {a.extractor} and {b.extractor}."
        )
