"""Real images from the files of a folder."""

import math
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from tf_student.data import decoding, image_files, pillow_images, resize
from tf_student.data.array_images import label_of_index
from tf_student.data.image_set import ImageSet, Shape
from tf_student.data.pillow_images import Header, UnreadableImageError
from tf_student.runtime import files
from tf_student.runtime.errors import InputError, first_line

# The headers of at most this many files of a larger set are read, which takes seconds.
_HEADERS = 100_000
# Smaller sets are decoded completely at the start, which takes a few seconds too.
_DECODED_FILES, _DECODED_PIXELS = 10_000, 2**26


def from_folder(folder: str, image_shape: Shape | None) -> ImageSet:
    """Returns all images in a folder and in the folders below it, sorted by path.

    If every image lies in a subfolder, the subfolders are the classes, in the order of
    their names. `image_files.find` says which files are images, and `pillow_images` how
    their channels are converted.

    Damaged files are found at the start if they are few and local, and otherwise as far
    as their first bytes show it, or when they are read.

    Args:
        folder: where to look for images.
        image_shape: the shape to which to bring them; None requires that all have the
            same size, and gives them 3 channels if one of them has colour.

    Raises:
        InputError: if there are no images, or names the first one that is not readable
            or has another size.
    """
    if image_shape and image_shape[-1] not in (1, 3, 4):
        raise InputError(
            "`channels` must be 1, 3 or 4 for a folder of images. "
            f"Received: channels={image_shape[-1]}."
        )
    found = image_files.find(folder)
    headers = _headers(folder, found, image_shape)
    shape = image_shape or _common_shape(found, headers)
    image_set = _image_set(folder, found, shape, fit=image_shape is not None)
    pixels = sum(header.height * header.width for header in headers)
    if len(headers) == len(found) <= _DECODED_FILES and pixels <= _DECODED_PIXELS:
        image_set.diagnose()
    _log_conversions(folder, found, headers, shape[-1])
    return image_set


def _headers(
    folder: str, found: list[str], image_shape: Shape | None
) -> Sequence[Header]:
    """What the first bytes of the files say, as far as this is needed or quick."""
    if image_shape is None:
        return image_files.read_headers(found)
    if files.is_remote(folder):
        return []
    step = math.ceil(len(found) / _HEADERS)
    return image_files.read_headers(found[::step])


def _common_shape(found: list[str], headers: Sequence[Header]) -> Shape:
    """The shape of images that all have the same size."""
    height, width, _ = headers[0]
    shape = height, width, max(header.channels for header in headers)
    for path, header in zip(found, headers, strict=True):
        if (header.height, header.width) != shape[:2]:
            raise _other_size(path, header, found[0], shape)
    return shape


def _other_size(
    path: str, received: Sequence[int], first: str, expected: Shape
) -> InputError:
    return InputError(
        f"{path} must have the height and width of {first}. Expected: "
        f"{expected[0]}x{expected[1]}, received: {received[0]}x{received[1]}."
    )


def _log_conversions(
    folder: str, found: list[str], headers: Sequence[Header], channels: int
) -> None:
    """Says how many images have other channels, and names the first."""
    expected = min(channels, 3)
    other = [index for index, h in enumerate(headers) if h.channels != expected]
    if not other:
        return
    received = headers[other[0]].channels
    done = "Grey is repeated" if received == 1 else "Colour becomes grey"
    path = found[other[0] * math.ceil(len(found) / len(headers))]
    logging.warning(
        "%s: %d of %d images have other channels, such as %s. Expected: %d, received: "
        "%d. %s.",
        *(folder, len(other), len(headers), path, expected, received, done),
    )


def _image_set(folder: str, found: list[str], shape: Shape, *, fit: bool) -> ImageSet:
    """The images, resized to a shape, or all of this shape."""
    # The function captures a tensor, so that its graph does not contain a copy.
    table, labels = tf.constant(found), _labels(folder, found)

    def decode(index: tf.Tensor) -> tf.Tensor:
        image = decoding.decode(tf.io.read_file(table[index]), shape[-1])
        return resize.fit(image, shape) if fit else tf.ensure_shape(image, shape)

    def diagnose() -> None:
        readable = 0
        try:
            for _ in image_set.images():
                readable += 1
        except tf.errors.OpError as error:
            raise _explain(found[readable], found[0], shape, fit, error) from error

    image_set = ImageSet(
        name=folder,
        count=len(found),
        elements=tf.data.Dataset.range(len(found)),
        decode=decode,
        window=len(found),
        shape=shape,
        preparation=resize.describe(shape, None if fit else shape),
        diagnose=diagnose,
        classes=0 if labels is None else int(labels.max()) + 1,
        label=None if labels is None else label_of_index(labels),
    )
    return image_set


def _explain(
    path: str, first: str, shape: Shape, fit: bool, error: tf.errors.OpError
) -> InputError:
    """The error of an image that could not be read, with the reason."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            image = pillow_images.decode(file.read(), shape[-1])
    except (UnreadableImageError, tf.errors.OpError) as reason:
        return image_files.unreadable(path, first_line(reason))
    if not fit and image.shape != shape:
        return _other_size(path, image.shape, first, shape)
    return image_files.unreadable(path, first_line(error))


def _labels(folder: str, found: list[str]) -> np.ndarray | None:
    """The class of each image; None if an image lies in the folder itself."""
    parents = [os.path.dirname(path) for path in found]
    within = [os.path.relpath(parent, folder) for parent in parents]
    first = [parts.split(os.sep)[0] for parts in within]
    if os.curdir in first:
        return None
    return np.unique(first, return_inverse=True)[1]
