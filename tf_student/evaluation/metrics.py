"""FID, KID and IS by TF-GAN's functions, over several ranges of seeds."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_student.errors import InputError
from tf_student.evaluation.features import Features
from tf_student.evaluation.tfgan import classifier_metrics


@dataclasses.dataclass(frozen=True)
class Score:
    """A metric's mean and standard deviation over the ranges of seeds."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.std:.3f}"


def fid(real: Features, generated: Features) -> float:
    """Frechet distance of Gaussians fitted to the activations (arXiv 1706.08500)."""
    _check(real, generated)
    distance = classifier_metrics.frechet_classifier_distance_from_activations(
        tf.constant(real.activations), tf.constant(generated.activations)
    )
    return float(distance)


def kid(real: Features, generated: Features) -> float:
    """Squared polynomial-kernel MMD of the activations (arXiv 1801.01401)."""
    _check(real, generated)
    distance = classifier_metrics.kernel_classifier_distance_from_activations(
        tf.constant(real.activations), tf.constant(generated.activations)
    )
    return float(distance)


def inception_score(generated: Features) -> float:
    """exp(E[KL(p(y|x) || p(y))]) (arXiv 1606.03498)."""
    return float(
        classifier_metrics.classifier_score_from_logits(tf.constant(generated.logits))
    )


def scores(real: Features, ranges: list[Features]) -> dict[str, Score]:
    """FID, KID and IS of each range of generated images, summed up.

    Args:
        real: features of the real images.
        ranges: features of generated images, one entry for each range of seeds.

    Returns:
        `FID`, `KID` and `IS`.
    """
    values = {
        "FID": [fid(real, generated) for generated in ranges],
        "KID": [kid(real, generated) for generated in ranges],
        "IS": [inception_score(generated) for generated in ranges],
    }
    return {
        name: Score(float(np.mean(value)), float(np.std(value)))
        for name, value in values.items()
    }


def half_split_fid(real: Features) -> float:
    """FID between two random halves of the real images: what a perfect copy would get.

    A small set scores badly against its own other half, so a generator that is
    compared with the whole set can come out lower.
    """
    order = np.random.default_rng(0).permutation(len(real.activations))
    halves = [
        Features(real.activations[part], real.logits[part])
        for part in np.array_split(order, 2)
    ]
    return fid(*halves)


def _check(real: Features, generated: Features) -> None:
    for name, features in (("real", real), ("generated", generated)):
        count, dimensions = features.activations.shape
        if count < 2:
            raise InputError(
                f"`samples` must be at least 2. Received: {count} {name} images."
            )
        if not np.isfinite(features.activations).all():
            raise InputError(f"The {name} images have features that are not finite.")
    if real.activations.shape[1] != generated.activations.shape[1]:
        raise InputError(
            "Real and generated features must come from one extractor. Received: "
            f"{real.activations.shape[1]} and {dimensions} dimensions."
        )
