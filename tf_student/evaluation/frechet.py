"""The Frechet distance of Gaussians (arXiv 1706.08500), and its limit for large n."""

import numpy as np

from tf_student.evaluation import statistics
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime.errors import InputError

# Largest accepted |R R - C| / |C| of a square root R of C.
_MAX_RESIDUAL = 1e-8
# Subset sizes of the extrapolation to infinity.
_SIZES = 15
_BLOCK = 2048


class Reference:
    """The statistics that others are compared with; their root is computed once.

    Args:
        reference: usually the statistics of the real images.

    Raises:
        InputError: if the covariance is not positive semi-definite.
    """

    def __init__(self, reference: Statistics):
        self.statistics = reference
        self._root = symmetric_root(reference.covariance, reference.name)

    def distance(self, other: Statistics) -> float:
        """|m - m'|^2 + tr(C) + tr(C') - 2 tr((C^1/2 C' C^1/2)^1/2), in float64.

        The last trace equals that of (C C')^1/2. It is the sum of the square roots of
        the eigenvalues of a symmetric matrix.

        Raises:
            InputError: if the statistics are those of another extractor.
        """
        _check_extractors(self.statistics, other)
        covariance = other.covariance
        product = self._root @ covariance @ self._root
        eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
        trace = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
        means = self.statistics.mean - other.mean
        traces = np.trace(self.statistics.covariance) + np.trace(covariance)
        return float(means @ means + traces - 2 * trace)

    def infinity(self, activations: np.ndarray, seed: int = 0) -> float:
        """The limit of the distance for an infinite number of images: FID-infinity.

        FID is linear in 1/n (arXiv 1911.07023, sec. 3). A line is fitted to the
        distances of random subsets of 15 sizes, from a tenth of the images to all of
        them. Its value at 1/n = 0 is the result.

        Args:
            activations: `[n, dimensions]`, which may be a memmap.
            seed: of the random subsets.
        """
        n = len(activations)
        order = np.random.default_rng(seed).permutation(n)
        sizes = np.linspace(max(n // 10, 2), n, _SIZES).astype(int)
        distances = [
            self.distance(self._of_rows(activations, np.sort(order[:size])))
            for size in sizes
        ]
        return float(np.polyfit(1 / sizes, distances, 1)[1])

    def _of_rows(self, activations: np.ndarray, rows: np.ndarray) -> Statistics:
        subset = Statistics(extractor=self.statistics.extractor)
        for part in np.array_split(rows, -(-len(rows) // _BLOCK)):
            subset.add(activations[part])
        return subset


def distance(a: Statistics, b: Statistics) -> float:
    """The Frechet distance of two sets of features, from their statistics.

    Raises:
        InputError: if the statistics are those of different extractors.
    """
    return Reference(a).distance(b)


def symmetric_root(covariance: np.ndarray, name: str = "covariance") -> np.ndarray:
    """The symmetric R with R R = C, for a symmetric positive semi-definite C.

    Raises:
        InputError: if R R differs from C, which means that C has negative eigenvalues.
    """
    symmetric = (covariance + covariance.T) / 2
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    root = (vectors * np.sqrt(np.clip(eigenvalues, 0, None))) @ vectors.T
    scale = max(float(np.linalg.norm(symmetric)), np.finfo(np.float64).tiny)
    residual = float(np.linalg.norm(root @ root - symmetric)) / scale
    # Written so that NaN is an error too.
    if not residual <= _MAX_RESIDUAL:
        raise InputError(
            f"The covariance of {name} must be positive semi-definite. Received: one "
            f"whose square root has a relative residual of {residual:.1e}, above "
            f"{_MAX_RESIDUAL:.0e}."
        )
    return root


def half_split(activations: np.ndarray) -> float:
    """The distance between two random halves of one set, which a perfect copy has.

    The halves of a small set are far apart because FID is biased for few images. A
    generator that is compared with the whole set can therefore have a smaller distance.
    """
    order = np.random.default_rng(0).permutation(len(activations))
    first, second = (
        statistics.of(activations[np.sort(part)], "half of the real images")
        for part in np.array_split(order, 2)
    )
    return distance(first, second)


def rank_warning(stats: Statistics) -> str | None:
    """A warning if there are too few images for a covariance of full rank."""
    if not 0 < stats.n <= stats.dimensions:
        return None
    return (
        f"{stats.name}: {stats.n:,} images for {stats.dimensions:,} feature "
        "dimensions: the covariance lacks rank, and FID is biased upwards."
    )


def origin_warning(stats: Statistics) -> str | None:
    """A warning if the extractor of the statistics is unknown."""
    if stats.extractor:
        return None
    return (
        f"{stats.name} does not store the extractor of its features: FID is valid only "
        "if it is the extractor of the other images."
    )


def _check_extractors(a: Statistics, b: Statistics) -> None:
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
