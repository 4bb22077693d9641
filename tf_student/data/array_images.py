"""Real images from an array in memory or in an .npz file."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import resize
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import files
from tf_student.runtime.errors import InputError

_LABELS = "labels"


def from_array(
    array: np.ndarray,
    name: str,
    image_shape: Shape | None,
    labels: np.ndarray | None = None,
) -> ImageSet:
    """Returns the images of an array.

    Args:
        array: uint8 `[n, height, width, channels]`, n >= 1.
        name: of the images, for messages and reports.
        image_shape: the shape to which to resize them; None keeps their own.
        labels: the class of each image, integers `[n]` from 0; None: no classes.

    Raises:
        InputError: if the arrays are not of this kind, or have other channels.
    """
    if array.dtype != np.uint8 or array.ndim != 4 or not len(array):
        raise InputError(
            f"{name} must hold uint8 images [n, height, width, channels]. "
            f"Received: {array.dtype} {list(array.shape)}."
        )
    _, height, width, channels = array.shape
    own = (height, width, channels)
    shape = image_shape or own
    resize.check_channels(channels, name, shape)
    if labels is not None:
        _check_labels(labels, len(array), name)
    # The map captures a tensor, so that its graph does not contain a copy.
    images = tf.constant(array)
    return ImageSet(
        name=name,
        count=len(array),
        elements=tf.data.Dataset.range(len(array)),
        decode=lambda index: (
            images[index] if shape == own else resize.fit(images[index], shape)
        ),
        window=len(array),
        shape=shape,
        preparation=resize.describe(shape, own),
        classes=0 if labels is None else int(labels.max()) + 1,
        label=None if labels is None else label_of_index(labels),
    )


def label_of_index(labels: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from the index of an image to its label."""
    table = tf.constant(labels, tf.int32)
    return lambda index: table[index]


def _check_labels(labels: np.ndarray, count: int, name: str) -> None:
    integers = np.issubdtype(labels.dtype, np.integer)
    if not integers or labels.shape != (count,) or labels.min() < 0:
        raise InputError(
            f"`{_LABELS}` of {name} must be integers of at least 0, one for each of "
            f"{count} images. Received: {labels.dtype} {list(labels.shape)}"
            + (f", smallest {labels.min()}." if integers and labels.size else ".")
        )
    if labels.max() >= max(count, 2):
        raise InputError(
            f"`{_LABELS}` of {name} must be numbered from 0 without gaps. Received: "
            f"label {labels.max()} for {count} images."
        )


def from_npz(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Returns the images of the array `data.split`, or of the only array, in a file.

    The array `<name>_labels`, or else `labels`, holds their classes.

    Raises:
        InputError: if the file or the array is missing, damaged or unsuitable.
    """
    path = data.dataset
    try:
        with files.open_npz(path) as arrays:
            names = [name for name in arrays if not name.endswith(_LABELS)]
            name = names[0] if len(names) == 1 else data.split
            array = arrays[name] if name in names else None
            found = [n for n in (f"{name}_{_LABELS}", _LABELS) if n in arrays]
            labels = arrays[found[0]] if found else None
    except tf.errors.NotFoundError as error:
        raise InputError(
            f"`dataset` must be an existing file. Received: dataset={path}."
        ) from error
    if array is None:
        raise InputError(
            f"`split` must be an array of {path}: {', '.join(names)}. "
            f"Received: split={data.split}."
        )
    return from_array(array, path, image_shape, labels)
