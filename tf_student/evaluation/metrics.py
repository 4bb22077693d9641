"""FID, KID, IS, precision and recall of generated images, over ranges of seeds."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.evaluation import frechet, neighbours
from tf_student.evaluation.features import Features
from tf_student.evaluation.statistics import Statistics
from tf_student.evaluation.tfgan import classifier_metrics
from tf_student.runtime.errors import InputError

# TF-GAN's largest block of images that are compared with each other.
_KID_BLOCK = 1024
_BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's mean and standard deviation over the ranges of seeds.

    Attributes:
        mean: of the ranges.
        std: of the ranges; 0 for one.
        error: the estimator's own standard error in one range, where it has one.
    """

    mean: float
    std: float
    error: float | None = None

    def __str__(self) -> str:
        # KID of Inception's features is small.
        places = 3 if abs(self.mean) >= 0.1 or not self.mean else 5
        return f"{self.mean:.{places}f} ± {self.std:.{places}f}"


class Reference:
    """The real images' side of every metric, computed once.

    Args:
        real: features of the real images, or statistics alone: then FID alone.
    """

    def __init__(self, real: Features | Statistics):
        self.features = None if isinstance(real, Statistics) else real
        self.statistics = real if self.features is None else real.statistics
        self.frechet = frechet.Reference(self.statistics)
        self.manifold, self.spread = None, None
        if self.features is not None:
            self.manifold = neighbours.manifold(real.activations)
            self.spread = neighbours.spread(real.activations)

    def measure(
        self, generated: Features | Statistics, *, infinity: bool = False
    ) -> dict[str, tuple[float, float | None]]:
        """Value and standard error of each metric, of one range of images.

        Args:
            generated: features of generated images, or statistics: then FID alone.
            infinity: whether to extrapolate FID to endless images too.
        """
        if isinstance(generated, Statistics):
            return {"FID": (self.frechet.distance(generated), None)}
        activations = generated.activations
        found = {"FID": (self.frechet.distance(generated.statistics), None)}
        if infinity:
            found["FID-infinity"] = (self.frechet.infinity(activations), None)
        if self.features is not None:
            found["KID"] = kid(self.features.activations, activations)
        found["IS"] = (inception_score(generated.logits), None)
        if self.features is not None:
            near = neighbours.scores(self.manifold, neighbours.manifold(activations))
            # Real images that are all alike have none.
            if self.spread:
                near["diversity"] = neighbours.spread(activations) / self.spread
            found |= {name: (value, None) for name, value in near.items()}
        return found


def summed_up(
    ranges: list[dict[str, tuple[float, float | None]]],
) -> dict[str, Score]:
    """Mean and deviation of each metric over the ranges of seeds."""
    found = {}
    for name in ranges[0]:
        values = [values[name][0] for values in ranges]
        errors = [values[name][1] for values in ranges]
        known = [error for error in errors if error is not None]
        found[name] = Score(
            float(np.mean(values)),
            float(np.std(values)),
            float(np.mean(known)) if known else None,
        )
    return found


def kid(real: np.ndarray, generated: np.ndarray) -> tuple[float, float | None]:
    """Squared polynomial-kernel MMD (arXiv 1801.01401), unbiased, by TF-GAN.

    The estimator is TF-GAN's: the mean over blocks of at most 1024 images, so memory
    does not grow with them. Blocks are drawn from all images, in a fixed random order:
    a folder that is sorted by class would have blocks that are unlike the whole.

    Returns:
        The distance and its standard error, None where there is but one block.
    """
    _check_kid(real, generated)
    blocks = math.ceil(max(len(real), len(generated)) / _KID_BLOCK)
    found = [
        float(
            classifier_metrics.kernel_classifier_distance_from_activations(
                *(tf.constant(part, tf.float64) for part in parts),
                max_block_size=max(map(len, parts)),
            )
        )
        for parts in zip(
            _blocks(real, blocks, 0), _blocks(generated, blocks, 1), strict=True
        )
    ]
    error = None if blocks == 1 else float(np.std(found, ddof=1) / math.sqrt(blocks))
    return float(np.mean(found)), error


def _blocks(rows: np.ndarray, blocks: int, seed: int) -> Iterator[np.ndarray]:
    """Random parts of about equal size, the larger ones last, as TF-GAN cuts them."""
    small, larger = divmod(len(rows), blocks)
    sizes = [small] * (blocks - larger) + [small + 1] * larger
    order = np.random.default_rng(seed).permutation(len(rows))
    for part in np.split(order, np.cumsum(sizes)[:-1]):
        # Files are read in their order.
        yield rows[np.sort(part)]


def _check_kid(real: np.ndarray, generated: np.ndarray) -> None:
    few, many = sorted((len(real), len(generated)))
    if few // math.ceil(many / _KID_BLOCK) < 2:
        raise InputError(
            f"KID needs sets of more equal size. Received: {few:,} and {many:,} images."
        )


def inception_score(logits: np.ndarray) -> float:
    """exp(E[KL(p(y|x) || p(y))]) (arXiv 1606.03498), in one part, float64.

    E[KL] = E[sum p log p] - sum q log q with q = E[p]: two sums over the images, so
    memory does not grow with them. Logits `[n, classes]`.
    """
    marginal, negentropy = np.zeros(logits.shape[1]), 0.0
    for start in range(0, len(logits), _BLOCK):
        part = np.asarray(logits[start : start + _BLOCK], np.float64)
        if not np.isfinite(part).all():
            raise InputError("Logits must be finite. Received: NaN or infinity.")
        log_p = part - part.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        marginal += p.sum(axis=0)
        negentropy += float((p * log_p).sum())
    q = marginal / len(logits)
    entropy = float((q * np.log(np.where(q > 0, q, 1))).sum())
    return math.exp(negentropy / len(logits) - entropy)
