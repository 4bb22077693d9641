"""Real images from the files of a folder."""

from collections.abc import Callable

import tensorflow as tf

from tf_student.data import resize
from tf_student.data.image_set import ImageSet, Shape
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError, first_line

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def from_folder(folder: str, image_shape: Shape | None) -> ImageSet:
    """Returns all images in a folder and in the folders below it, sorted by path.

    Hidden files and folders, whose names begin with a dot, and `__MACOSX` are left out.

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

    def decode(path: tf.Tensor) -> tf.Tensor:
        image = tf.ensure_shape(opened(path), [None, None, shape[-1]])
        if image_shape:
            return resize.fit(image, shape)
        return tf.ensure_shape(image, shape)

    return ImageSet(
        name=folder,
        count=len(found),
        elements=tf.data.Dataset.from_tensor_slices(found),
        decode=decode,
        window=len(found),
        shape=shape,
        preparation=resize.describe(shape, None if image_shape else shape),
        diagnose=lambda: _checked_shape(decode, found),
    )


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
