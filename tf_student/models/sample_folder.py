"""A folder of drawn images, which holds one draw: an evaluation measures all of it.

A file beside the folder says how many of its numbered images a draw wrote. Only these
are ever removed.
"""

import dataclasses
import os
import re

import numpy as np
import tensorflow as tf

from tf_student.data import grids
from tf_student.runtime import atomic, files, leftovers, paths
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, from_dict, option

# Images of one draw: their numbers have six digits.
MAX_IMAGES = 10**6
_IMAGE = re.compile(r"(\d{6})\.png")


@dataclasses.dataclass(frozen=True)
class _Draw:
    """What a draw wrote."""

    images: int = option(0, "Number of images.", minimum=0, maximum=MAX_IMAGES)

    def __post_init__(self):
        check(self)


def check_images(folder: str, count: int) -> None:
    """Checks that a folder holds no numbered images of others beyond a draw's.

    Args:
        folder: may be missing.
        count: number of images of the draw.

    Raises:
        InputError: if it does; or if the file beside the folder is damaged.
    """
    own = max(count, _own(folder))
    for name, number in _numbered(folder).items():
        if number >= own:
            raise InputError(
                f"{folder} must hold the images of one draw. Received: {name}, which "
                "is of another one. Remove the folder, or choose another `work_dir`."
            )


def draws(directory: str) -> list[str]:
    """The names of the folders in a directory that hold a draw each, sorted."""
    names = set(paths.listdir(directory))
    return sorted(name for name in names if _record(name) in names)


def write(folder: str, images: np.ndarray) -> None:
    """Writes the images of a draw in place of those of the last one.

    The caller holds a lock.

    Args:
        folder: gets `000000.png`, `000001.png`, ...; created if it is missing.
        images: uint8 `[n, height, width, channels]`.
    """
    parent, name = os.path.split(folder)
    leftovers.remove(parent, {name, os.path.basename(_record(folder))}.__contains__)
    tf.io.gfile.makedirs(folder)
    scratch = atomic.temporary_name(folder)
    tf.io.gfile.makedirs(scratch)
    try:
        for number, image in enumerate(images):
            grids.write_png(os.path.join(scratch, _name(number)), image)
        _replace(folder, scratch, len(images))
    finally:
        leftovers.remove_path(scratch)


def _replace(folder: str, scratch: str, count: int) -> None:
    """Moves the images of a draw into the folder."""
    # First, so that after a kill the images of both draws are known.
    before = _own(folder)
    files.write_json(_record(folder), {"images": max(before, count)})
    for number in range(count):
        name = _name(number)
        tf.io.gfile.rename(
            os.path.join(scratch, name), os.path.join(folder, name), overwrite=True
        )
    for name, number in _numbered(folder).items():
        if count <= number < before:
            leftovers.remove_path(os.path.join(folder, name))
    files.write_json(_record(folder), {"images": count})


def _record(folder: str) -> str:
    return f"{folder}.json"


def _own(folder: str) -> int:
    """The number of images in the folder that draws wrote."""
    path = _record(folder)
    if not tf.io.gfile.exists(path):
        return 0
    try:
        return from_dict(_Draw, files.read_object(path)).images
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from error


def _name(number: int) -> str:
    return f"{number:06d}.png"


def _numbered(folder: str) -> dict[str, int]:
    """The numbers of the folder's numbered images by name."""
    names = paths.listdir(folder)
    return {name: int(m[1]) for name in names if (m := _IMAGE.fullmatch(name))}
