"""A fixed sequence of real images, as tf.data."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tf_student.data import streams

# Height, width and channels of an image.
Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A fixed sequence of real images.

    Attributes:
        name: the name of the images in reports.
        count: the number of images.
        elements: the images in their cheapest form: indices, paths or encoded bytes.
        decode: maps an element to an image, uint8 `[height, width, channels]`.
        window: the number of elements that are kept in memory and shuffled together.
        shape: `(height, width, channels)` of every decoded image.
        preparation: how images of another size are resized, for reports.
        diagnose: raises an `InputError` that names an unreadable image, if one exists.
    """

    name: str
    count: int
    elements: tf.data.Dataset
    decode: Callable[[tf.Tensor], tf.Tensor]
    window: int
    shape: Shape
    preparation: str
    diagnose: Callable[[], object] = lambda: None

    def images(self) -> tf.data.Dataset:
        """All images once, uint8 `[height, width, channels]`, in their fixed order."""
        return streams.untuned(self.elements.map(self.decode, tf.data.AUTOTUNE))

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
