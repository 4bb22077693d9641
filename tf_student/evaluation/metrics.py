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

# TF-GAN's default size of the blocks that KID is averaged over.
_KID_BLOCK = 1024
_BLOCK = 4096

# The value of a metric in one range of seeds, and its standard error, if it has one.
Value = tuple[float, float | None]


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's mean and standard deviation over the ranges of seeds.

    Attributes:
        mean: over the ranges.
        std: over the ranges; 0 for a single range.
        error: the estimator's mean standard error within a range, or None.
    """

    mean: float
    std: float
    error: float | None = None

    def __str__(self) -> str:
        # KID of Inception features is about 0.001.
        places = 3 if abs(self.mean) >= 0.1 or not self.mean else 5
        return f"{self.mean:.{places}f} ± {self.std:.{places}f}"


class Reference:
    """What every metric needs of the real images, computed once.

    Args:
        real: features of the real images, or only their statistics, which give FID and
            no metric that compares images.
    """

    def __init__(self, real: Features | Statistics):
        self.features: Features | None = None
        self.manifold: neighbours.Manifold | None = None
        self.spread = 0.0
        if isinstance(real, Features):
            self.features = real
            self.manifold = neighbours.manifold(real.activations)
            self.spread = neighbours.spread(real.activations)
        self.statistics = statistics_of(real)
        self.frechet = frechet.Reference(self.statistics)

    def measure(
        self, generated: Features | Statistics, *, infinity: bool = False
    ) -> dict[str, Value]:
        """Value and standard error of each metric, for one range of images.

        Args:
            generated: features of the generated images, or only their statistics,
                which give FID and nothing else.
            infinity: whether to also extrapolate FID to an infinite number of images.
        """
        if isinstance(generated, Statistics):
            return {"FID": (self.frechet.distance(generated), None)}
        activations = generated.activations
        values: dict[str, Value] = {}
        values["FID"] = (self.frechet.distance(generated.statistics), None)
        if infinity:
            values["FID-infinity"] = (self.frechet.infinity(activations), None)
        if self.features is not None:
            values["KID"] = kid(self.features.activations, activations)
        values["IS"] = (inception_score(generated.logits), None)
        if self.manifold is not None:
            near = neighbours.scores(self.manifold, neighbours.manifold(activations))
            # Identical real images have no spread to divide by.
            if self.spread:
                near["diversity"] = neighbours.spread(activations) / self.spread
            values |= {name: (value, None) for name, value in near.items()}
        return values


def statistics_of(images: Features | Statistics) -> Statistics:
    """The statistics themselves, or those of features."""
    return images if isinstance(images, Statistics) else images.statistics


def summarize(ranges: list[dict[str, Value]]) -> dict[str, Score]:
    """Mean and standard deviation of each metric that all ranges of seeds have."""
    scores = {}
    for name in ranges[0]:
        if any(name not in metrics for metrics in ranges):
            continue
        values = [metrics[name][0] for metrics in ranges]
        errors = [metrics[name][1] for metrics in ranges]
        estimated = [error for error in errors if error is not None]
        scores[name] = Score(
            float(np.mean(values)),
            float(np.std(values)),
            float(np.mean(estimated)) if estimated else None,
        )
    return scores


def kid(real: np.ndarray, generated: np.ndarray) -> Value:
    """Kernel Inception Distance (arXiv 1801.01401): unbiased polynomial-kernel MMD^2.

    The estimator is TF-GAN's mean over blocks of at most 1024 images, so that memory
    does not grow with their number. Each block is a random sample of all images, in a
    fixed random order, because the images of a folder may be sorted by class.

    Args:
        real: features `[m, dimensions]`.
        generated: features `[n, dimensions]`.

    Returns:
        The distance, and its standard error, or None for a single block.

    Raises:
        InputError: if a block would have fewer than 2 images of one of the sets.
    """
    _check_kid(real, generated)
    blocks = math.ceil(max(len(real), len(generated)) / _KID_BLOCK)
    distances = [
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
    mean = float(np.mean(distances))
    if blocks == 1:
        return mean, None
    return mean, float(np.std(distances, ddof=1)) / math.sqrt(blocks)


def _blocks(rows: np.ndarray, blocks: int, seed: int) -> Iterator[np.ndarray]:
    """Random parts of about equal size, the larger ones last, as TF-GAN splits them."""
    small, larger = divmod(len(rows), blocks)
    sizes = [small] * (blocks - larger) + [small + 1] * larger
    order = np.random.default_rng(seed).permutation(len(rows))
    for part in np.split(order, np.cumsum(sizes)[:-1]):
        # Sorted, because the rows may be mapped from a file.
        yield rows[np.sort(part)]


def _check_kid(real: np.ndarray, generated: np.ndarray) -> None:
    few, many = sorted((len(real), len(generated)))
    if few // math.ceil(many / _KID_BLOCK) < 2:
        raise InputError(
            f"KID needs sets of more equal size. Received: {few:,} and {many:,} images."
        )


def inception_score(logits: np.ndarray) -> float:
    """Inception Score (arXiv 1606.03498): exp(E[KL(p(y|x) || p(y))]), in float64.

    E[KL] = E[sum p log p] - sum q log q with q = E[p]. Both are sums over the images,
    so that memory does not grow with their number.

    Args:
        logits: `[n, classes]`.

    Raises:
        InputError: if a logit is not finite.
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
