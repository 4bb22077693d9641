"""Real images from the files of a folder."""

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import resize
from tf_student.data.array_images import label_of_index
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError, first_line

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def from_folder(folder: str, image_shape: Shape | None) -> ImageSet:
    """Returns all images in a folder and in the folders below it, sorted by path.

    If every image lies in a subfolder, the subfolders are the classes, in the order of
    their names. Hidden files and folders, whose names begin with a dot, and `__MACOSX`
    are left out.

    Args:
        folder: where to look for .png, .jpg, .jpeg and .bmp files.
        image_shape: the shape to which to resize them; None requires that all have the
            shape of the first one.

    Raises:
        InputError: if the folder has no image, or the first is not readable.
    """
    found = _image_paths(folder)

    def opened(path: tf.Tensor) -> tf.Tensor:
        channels = image_shape[-1] if image_shape else 0
        return tf.io.decode_image(
            tf.io.read_file(path), channels, expand_animations=False
        )

    shape = image_shape or _checked_shape(opened, found[:1])

    def decode_file(path: tf.Tensor) -> tf.Tensor:
        image = tf.ensure_shape(opened(path), [None, None, shape[-1]])
        if image_shape:
            return resize.fit(image, shape)
        return tf.ensure_shape(image, shape)

    table, labels = tf.constant(found), _labels(folder, found)
    return ImageSet(
        name=folder,
        count=len(found),
        elements=tf.data.Dataset.range(len(found)),
        decode=lambda index: decode_file(table[index]),
        window=len(found),
        shape=shape,
        preparation=resize.describe(shape, None if image_shape else shape),
        diagnose=lambda: _checked_shape(decode_file, found),
        classes=0 if labels is None else int(labels.max()) + 1,
        label=None if labels is None else label_of_index(labels),
    )


def _labels(folder: str, found: list[str]) -> np.ndarray | None:
    """The class of each image; None if an image lies in the folder itself."""
    parents = [os.path.dirname(path) for path in found]
    within = [os.path.relpath(parent, folder) for parent in parents]
    first = [parts.split(os.sep)[0] for parts in within]
    if os.curdir in first:
        return None
    return np.unique(first, return_inverse=True)[1]


def _image_paths(folder: str) -> list[str]:
    found = [path for path in paths.files_below(folder, _is_visible) if _is_image(path)]
    if not found:
        raise InputError(
            f"`dataset` must be a folder with {', '.join(_SUFFIXES)} files. "
            f"Received: dataset={folder}."
        )
    return found


def _is_image(path: str) -> bool:
    return path.lower().endswith(_SUFFIXES)


def _is_visible(name: str) -> bool:
    """Whether a file or folder is the user's, and not of a system or an editor."""
    return not name.startswith(".") and name != "__MACOSX"


def _checked_shape(decode: Callable[[str], tf.Tensor], images: list[str]) -> Shape:
    """The shape of the last image; an `InputError` names the first unreadable one."""
    for path in images:
        try:
            image = decode(path)
        except (tf.errors.OpError, ValueError) as error:
            reason = first_line(error)
            raise InputError(f"{path} is not a readable image: {reason}") from error
    height, width, channels = image.shape
    return height, width, channels
