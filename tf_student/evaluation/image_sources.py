"""Sources of images to measure: generators, sets of images, and statistics."""

import dataclasses
from collections.abc import Callable, Collection, Iterator

import numpy as np

from tf_student.data import datasets, streams
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.diffusion.inputs import Inputs
from tf_student.evaluation.statistics import Statistics
from tf_student.models.generator import Generator

_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Source:
    """Images in a fixed order.

    Attributes:
        name: for reports and messages.
        read: from (first, count) to batches of these images, uint8
            `[n, height, width, channels]`.
        shape: of an image; None for statistics.
        count: number of images; None for a generator, whose images never end.
        preparation: how the images were brought to their size.
        generate: from float32 noise `[n, *shape]`, or with classes the pair of it and
            int32 labels `[n]`, to images; None if the source is not a generator.
        batch: images that a generator makes at once.
        calls: network calls for each image; 0 if it is unknown.
        statistics: of features, for a source without images.
        classes: number of classes; 0: the images have no labels.
        labels: from (first, count) to the labels of these images, int32 `[count]`.
    """

    name: str
    read: Callable[[int, int], Iterator[np.ndarray]]
    shape: tuple[int, int, int] | None
    count: int | None = None
    preparation: str = "as they are"
    generate: Callable[[Inputs], np.ndarray] | None = None
    batch: int = _BATCH
    calls: int = 0
    statistics: Statistics | None = None
    classes: int = 0
    labels: Callable[[int, int], np.ndarray] | None = None

    def select(self, indices: Collection[int]) -> dict[int, np.ndarray]:
        """The images at some indices, by index."""
        selected: dict[int, np.ndarray] = {}
        first, wanted = 0, set(indices)
        for batch in self.read(0, max(wanted) + 1):
            present = wanted.intersection(range(first, first + len(batch)))
            selected |= {index: batch[index - first] for index in present}
            first += len(batch)
        return selected


def from_generator(name: str, generator: Generator, calls: int) -> Source:
    """Images of evaluation noise, which no network is trained on."""

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        for start in range(first, first + count, generator.batch):
            size = min(generator.batch, first + count - start)
            yield generator.from_seed(0, noise.EVALUATION + start, size)

    return Source(
        name,
        read,
        generator.shape,
        None,
        "",
        generator,
        generator.batch,
        calls,
        classes=generator.classes,
        labels=drawn_labels(0, noise.EVALUATION, generator.classes),
    )


def drawn_labels(
    seed: int, first_index: int, classes: int
) -> Callable[[int, int], np.ndarray] | None:
    """`Source.labels` of images whose labels are drawn; None without classes."""
    if not classes:
        return None

    def labels(first: int, count: int) -> np.ndarray:
        indices = first_index + first + np.arange(count)
        return network_inputs.labels(seed, indices, classes).numpy()

    return labels


def from_images(image_set: datasets.ImageSet, maximum: int = 0) -> Source:
    """Real images: the first `maximum` of a set, or all of them if it is 0."""

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        selected = image_set.images().skip(first).take(count).batch(_BATCH)
        with streams.diagnosed(image_set.diagnose):
            yield from selected.prefetch(1).as_numpy_iterator()

    def labels(first: int, count: int) -> np.ndarray:
        selected = image_set.labels().skip(first).take(count)
        return np.fromiter(selected.as_numpy_iterator(), np.int32, count)

    return Source(
        image_set.name,
        read,
        image_set.shape,
        min(image_set.count, maximum or image_set.count),
        image_set.preparation,
        classes=image_set.classes,
        labels=labels if image_set.classes else None,
    )


def from_statistics(statistics: Statistics) -> Source:
    """Statistics that take the place of images."""
    return Source(
        statistics.name,
        lambda first, count: iter(()),
        None,
        statistics.n,
        "unknown",
        statistics=statistics,
    )
