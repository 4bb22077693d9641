"""Metrics of k nearest neighbours in feature space: precision, recall and others."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.evaluation.precision import full_float32

_BLOCK = 1024
# The k of precision and recall (arXiv 1904.06991, sec. 3), and of density and coverage
# (arXiv 2002.09797, sec. 3).
_K_PRECISION, _K_DENSITY = 3, 5


@dataclasses.dataclass(frozen=True)
class Manifold:
    """Features, each the centre of a ball that reaches its k-th nearest neighbour.

    Attributes:
        points: float32 `[n, dimensions]`.
        radii: squared distance of each point's k-th neighbour, `[n]`, by k.
    """

    points: np.ndarray
    radii: dict[int, np.ndarray]


def manifold(points: np.ndarray) -> Manifold:
    """Computes the balls of features `[n, dimensions]`, in O(n^2 dimensions)."""
    ks = [min(k, len(points) - 1) for k in (_K_PRECISION, _K_DENSITY)]
    nearest_of_blocks = []
    for start, squared in _squared_distances(points, points):
        rows = np.arange(len(squared))
        # A point is not its own neighbour.
        diagonal = tf.constant(np.stack([rows, start + rows], axis=1))
        squared = tf.tensor_scatter_nd_update(
            squared, diagonal, tf.fill([len(rows)], np.float32(np.inf))
        )
        nearest_of_blocks.append(-tf.math.top_k(-squared, max(ks))[0].numpy())
    distances = np.concatenate(nearest_of_blocks)
    names = (_K_PRECISION, _K_DENSITY)
    radii = {name: distances[:, k - 1] for name, k in zip(names, ks, strict=True)}
    return Manifold(points, radii)


def scores(real: Manifold, generated: Manifold) -> dict[str, float]:
    """Precision, recall, density and coverage.

    Precision is the share of generated images that lie in the ball of a real image.
    Recall is the share of real images that lie in the ball of a generated image
    (improved precision and recall, arXiv 1904.06991, k = 3). Density is the mean number
    of real balls around a generated image, divided by k. Coverage is the share of real
    balls that contain a generated image (arXiv 2002.09797, k = 5). All lie in [0, 1],
    except density, which can be larger.
    """
    count, total = len(generated.points), len(real.points)
    precise, inside = 0, 0
    recalled, covered = np.zeros(total, bool), np.zeros(total, bool)
    narrow, wide = (tf.constant(real.radii[k]) for k in (_K_PRECISION, _K_DENSITY))
    for start, squared in _squared_distances(generated.points, real.points):
        radii = generated.radii[_K_PRECISION][start : start + len(squared)]
        precise += int(tf.math.count_nonzero(tf.reduce_any(squared <= narrow, axis=1)))
        within = squared <= wide
        inside += int(tf.math.count_nonzero(within))
        covered |= tf.reduce_any(within, axis=0).numpy()
        recalled |= tf.reduce_any(squared <= radii[:, None], axis=0).numpy()
    return {
        "precision": precise / count,
        "recall": float(recalled.mean()),
        "density": inside / (min(_K_DENSITY, total - 1) * count),
        "coverage": float(covered.mean()),
    }


def nearest(queries: np.ndarray, points: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k nearest points, the nearest first, int32 `[queries, k]`.

    There are fewer columns if there are fewer than k points.
    """
    indices = [
        tf.math.top_k(-squared, min(k, len(points)))[1].numpy()
        for _, squared in _squared_distances(queries, points)
    ]
    return np.concatenate(indices)


def spread(points: np.ndarray, seed: int = 0) -> float:
    """Mean distance of random pairs of points, which is small after mode collapse."""
    order = np.random.default_rng(seed).permutation(len(points))
    total = 0.0
    # The pairs are neighbours in the random order, read in blocks.
    for start in range(0, len(order) - 1, _BLOCK):
        part = np.asarray(points[order[start : start + _BLOCK + 1]], np.float64)
        total += np.linalg.norm(part[1:] - part[:-1], axis=1).sum()
    return float(total / (len(order) - 1))


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[int, tf.Tensor]]:
    """The first row, and float32 `[rows, len(b)]`, for each block of rows of `a`."""
    # Coordinates relative to the mean of b lose less precision in float32.
    centre = np.mean(b, axis=0, dtype=np.float64).astype(np.float32)
    others = tf.constant(b, tf.float32) - centre
    norms = tf.reduce_sum(others * others, axis=1)
    for start in range(0, len(a), _BLOCK):
        rows = tf.constant(a[start : start + _BLOCK], tf.float32) - centre
        squared = tf.reduce_sum(rows * rows, axis=1, keepdims=True) + norms
        with full_float32():
            squared -= 2 * tf.matmul(rows, others, transpose_b=True)
        yield start, tf.maximum(squared, 0)
