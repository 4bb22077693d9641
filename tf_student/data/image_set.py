"""A fixed sequence of real images, as tf.data."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_student.data import streams
from tf_student.runtime.errors import InputError

_WHERE = (
    "an .npz file in the array `labels`, a folder in the names of its subfolders, a "
    "TFDS dataset in the feature `label`."
)
# Height, width and channels of an image.
Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A fixed sequence of real images.

    Attributes:
        name: the name of the images in reports.
        count: the number of images.
        elements: the images in their cheapest form: indices, or a dict with encoded
            bytes.
        decode: maps an element to an image, uint8 `[height, width, channels]`.
        window: the number of elements that are kept in memory and shuffled together.
        shape: `(height, width, channels)` of every decoded image.
        preparation: how images of another size are resized, for reports.
        diagnose: raises an `InputError` that names an unreadable image, if one exists.
        classes: number of classes; 0: the images have no labels.
        label: maps an element to its label, int32 in [0, classes - 1].
        no_labels: why the labels that the images have cannot be used.
    """

    name: str
    count: int
    elements: tf.data.Dataset
    decode: Callable[[Any], tf.Tensor]
    window: int
    shape: Shape
    preparation: str
    diagnose: Callable[[], object] = lambda: None
    classes: int = 0
    label: Callable[[Any], tf.Tensor] | None = None
    no_labels: str = ""

    def images(self) -> tf.data.Dataset:
        """All images once, uint8 `[height, width, channels]`, in their fixed order."""
        return streams.untuned(self.elements.map(self.decode, tf.data.AUTOTUNE))

    def labels(self) -> tf.data.Dataset:
        """The label of each image once, int32, in the order of `images`.

        Raises:
            InputError: if the images have no labels.
        """
        return streams.untuned(self.elements.map(self.checked_label()))

    def checked_label(self, classes: int = 0) -> Callable[[Any], tf.Tensor]:
        """`label`, for a network with this number of classes; 0: any number.

        Raises:
            InputError: if the images have no labels, or another number of classes.
        """
        if self.label is None:
            raise InputError(
                f"{self.name} must have labels: {self.no_labels or _WHERE}"
            )
        if classes and classes != self.classes:
            raise InputError(
                f"`classes` must be the number of classes of {self.name}. Expected: "
                f"{self.classes}, received: classes={classes}."
            )
        return self.label

    def shuffled(self, *, seed: int, start: int) -> tf.data.Dataset:
        """An endless stream of elements in which each epoch has another order.

        Args:
            seed: of the orders.
            start: the position in the stream to start at.

        Returns:
            A dataset of (int64 position, element).
        """

        def epoch(number: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
            return streams.shuffle_windows(
                self.elements, size=self.window, seed=seed, epoch=number
            ).skip(skip)

        return streams.endless(epoch, count=self.count, start=start)
