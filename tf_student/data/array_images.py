"""Real images from an array in memory or in an .npz file."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.data import resize
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import files
from tf_student.runtime.errors import InputError

_LABELS = "labels"
# The names of arrays that numpy.savez got without one, as ADM's scripts write them.
_LABELS_OF = {"arr_0": ("arr_1",)}


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
        InputError: if the array is not of this kind, or has other channels. Labels of
            another kind are an error only where labels are needed.
    """
    own = _shape(array, name)
    shape = image_shape or own
    resize.check_channels(own[-1], name, shape)
    unsuitable = "" if labels is None else _unsuitable(labels, len(array))
    if unsuitable:
        labels = None
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
        no_labels=unsuitable,
    )


def _shape(array: np.ndarray, name: str) -> Shape:
    """The shape of an image of an array, which must hold uint8 images."""
    if array.dtype != np.uint8 or array.ndim != 4 or not len(array):
        raise InputError(
            f"{name} must hold uint8 images [n, height, width, channels]. "
            f"Received: {array.dtype} {list(array.shape)}."
        )
    _, height, width, channels = array.shape
    if channels > 4 and height in (1, 3):
        raise InputError(
            f"{name} must hold images with their channels last. "
            f"Received: {list(array.shape)}."
        )
    return height, width, channels


def label_of_index(labels: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from the index of an image to its label."""
    table = tf.constant(labels, tf.int32)
    return lambda index: table[index]


def _unsuitable(labels: np.ndarray, count: int) -> str:
    """Why labels cannot be used; empty if they can."""
    received = f"{labels.dtype} {list(labels.shape)}"
    integers = np.issubdtype(labels.dtype, np.integer)
    if not integers or labels.shape != (count,):
        return f"they must be integers [{count}]. Received: {received}."
    if labels.min() < 0 or len(np.unique(labels)) <= labels.max():
        ends = f"{labels.min()} to {labels.max()}"
        return (
            "they must be numbered from 0, with images of each class. Received: "
            f"{ends}, {len(np.unique(labels))} classes."
        )
    return ""


def from_npz(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Returns the images of the array `data.split`, or of the only one with images.

    Arrays of another number of dimensions than 4, such as statistics, are no images.
    The array `<name>_labels` holds the classes of images; for a single array of images,
    so does `labels`, or `arr_1` beside `arr_0`.

    Raises:
        InputError: if the file or the array is missing, damaged or unsuitable.
    """
    path = data.dataset
    try:
        with files.open_npz(path) as arrays:
            headers = arrays.headers()
            name = _choose(data, headers)
            array = arrays[name]
            alone = len(_image_names(headers)) <= 1
            labels = _read_labels(arrays, name, alone=alone)
    except tf.errors.NotFoundError as error:
        raise InputError(
            f"`dataset` must be an existing file. Received: dataset={path}."
        ) from error
    return from_array(array, path, image_shape, labels)


def _image_names(headers: files.ArrayHeaders) -> list[str]:
    """The names of the arrays that may be images."""
    return [name for name, (_, shape) in headers.items() if len(shape) == 4]


def _choose(data: DataConfig, headers: files.ArrayHeaders) -> str:
    """The name of the array to read."""
    if data.split in headers:
        return data.split
    names = _image_names(headers) or list(headers)
    if data.split == DataConfig.split and len(names) == 1:
        return names[0]
    if not _image_names(headers):
        found = (f"{name} {dtype} {list(s)}" for name, (dtype, s) in headers.items())
        raise InputError(
            f"{data.dataset} must hold uint8 images [n, height, width, channels]. "
            f"Received: {', '.join(found)}."
        )
    raise InputError(
        f"`split` must be an array of {data.dataset}: {', '.join(names)}. "
        f"Received: split={data.split}."
    )


def _read_labels(arrays: Any, name: str, *, alone: bool) -> np.ndarray | None:
    """The labels of an array of images; None if the file has none for it."""
    places = [f"{name}_{_LABELS}"]
    if alone:
        places += [_LABELS, *_LABELS_OF.get(name, ())]
    found = [place for place in places if place in arrays]
    if not found:
        return None
    try:
        return arrays[found[0]]
    # NumPy does not read arrays of objects, and networks without classes need none.
    except ValueError:
        return np.zeros(0, object)
