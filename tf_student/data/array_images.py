"""Real images from an array in memory or in an .npz file."""

import numpy as np
import tensorflow as tf

from tf_student.data import resize
from tf_student.data.data_config import DataConfig
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import files
from tf_student.runtime.errors import InputError


def from_array(array: np.ndarray, name: str, image_shape: Shape | None) -> ImageSet:
    """Returns the images of an array.

    Args:
        array: uint8 `[n, height, width, channels]`, n >= 1.
        name: of the images, for messages and reports.
        image_shape: the shape to which to resize them; None keeps their own.

    Raises:
        InputError: if the array is not of this kind, or has other channels.
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
    )


def from_npz(data: DataConfig, image_shape: Shape | None) -> ImageSet:
    """Returns the images of the array `data.split`, or of the only array, in a file.

    Raises:
        InputError: if the file or the array is missing, damaged or unsuitable.
    """
    path = data.dataset
    try:
        with files.open_npz(path) as arrays:
            names = list(arrays)
            name = names[0] if len(names) == 1 else data.split
            array = arrays[name] if name in names else None
    except tf.errors.NotFoundError as error:
        raise InputError(
            f"`dataset` must be an existing file. Received: dataset={path}."
        ) from error
    if array is None:
        raise InputError(
            f"`split` must be an array of {path}: {', '.join(names)}. "
            f"Received: split={data.split}."
        )
    return from_array(array, path, image_shape)
