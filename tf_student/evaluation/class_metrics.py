"""Scores of images with labels: whether their classes are right, and FID by class."""

from collections.abc import Callable

import numpy as np

from tf_student.evaluation import frechet, statistics
from tf_student.evaluation.features import Features
from tf_student.evaluation.metrics import Value
from tf_student.evaluation.statistics import Statistics

# The accuracy on real images above which an extractor classifies these classes.
_CLASSIFIES = 0.5
ACCURACY, INTRA_FID = "class accuracy", "intra-class FID"


class ClassReference:
    """The real images by class.

    Args:
        real: features of the real images, or only their statistics.
        classes: number of classes of the generated images; 0: they have none.
        labels: returns the label of each real image; None if they have none, or
            another number of classes.
    """

    def __init__(
        self,
        real: Features | Statistics,
        classes: int,
        labels: Callable[[], np.ndarray] | None,
    ):
        self.classes = classes
        self._real: dict[int, frechet.Reference] = {}
        self._classifies = False
        if not classes or labels is None or not isinstance(real, Features):
            return
        self._classifies = _accuracy(real, labels(), classes) > _CLASSIFIES
        by_class = _by_class(real, labels(), classes)
        self._real = {k: frechet.Reference(stats) for k, stats in by_class.items()}

    def measure(
        self, generated: Features | Statistics, labels: np.ndarray
    ) -> dict[str, Value]:
        """Scores of one range of images.

        Args:
            generated: features of the images.
            labels: the class that each image should have, `[n]`.

        Returns:
            `class accuracy`, the share of images that the extractor assigns to their
            class, if it assigns most of the real images to theirs; `FID, class 0` and
            so on, for each class of which there are more generated and more real images
            than features; and `intra-class FID`, the mean of these (Miyato & Koyama,
            arXiv 1802.05637, sec. 5), if every class has one.
        """
        values: dict[str, Value] = {}
        if not self.classes or isinstance(generated, Statistics):
            return values
        if self._classifies:
            values[ACCURACY] = (_accuracy(generated, labels, self.classes), None)
        by_class = _by_class(generated, labels, self.classes) if self._real else {}
        distances = {
            k: self._real[k].distance(by_class[k])
            for k in sorted(self._real.keys() & by_class.keys())
        }
        if len(distances) == self.classes:
            values[INTRA_FID] = (float(np.mean(list(distances.values()))), None)
        return values | {f"FID, class {k}": (v, None) for k, v in distances.items()}


def _accuracy(features: Features, labels: np.ndarray, classes: int) -> float:
    """The share of images that the extractor assigns to their class."""
    if features.logits.shape[1] != classes:
        return 0.0
    return float(np.mean(features.logits.argmax(axis=1) == labels))


def _by_class(
    features: Features, labels: np.ndarray, classes: int
) -> dict[int, Statistics]:
    """Statistics of the classes that have more images than there are features."""
    counts = np.bincount(labels, minlength=classes)
    return {
        int(label): statistics.of(
            features.activations[np.flatnonzero(labels == label)],
            f"{features.name}, class {label}",
            features.extractor,
        )
        for label in np.flatnonzero(counts > features.activations.shape[1])
    }
