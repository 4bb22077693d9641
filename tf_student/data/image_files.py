"""Finds the image files of a folder, and looks into them before they are used."""

import collections
import concurrent.futures
import os
from collections.abc import Sequence

import tensorflow as tf
from absl import logging

from tf_student.data import pillow_images
from tf_student.data.pillow_images import Header, UnreadableImageError
from tf_student.runtime import files, paths
from tf_student.runtime.errors import InputError

_THREADS = 16


def find(folder: str) -> list[str]:
    """The paths of all image files in a folder and below it, sorted.

    Files with the suffix of a format that Pillow reads are images. Hidden files and
    folders, whose names begin with a dot, and `__MACOSX` are left out; the number of
    other files that are left out is logged.

    Raises:
        InputError: if there are no images.
    """
    images: list[str] = []
    others: list[str] = []
    for path in paths.files_below(folder, _is_visible):
        (images if _suffix(path) in pillow_images.suffixes() else others).append(path)
    kinds = _kinds(others)
    if not images:
        raise InputError(
            "`dataset` must be a folder with images (.png, .jpg, .webp, .tif, ...). "
            f"Received: dataset={folder}, with {kinds or 'no files'}."
        )
    if others:
        logging.warning("%s: left out %s that are no images.", folder, kinds)
    return images


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _is_visible(name: str) -> bool:
    """Whether a file or folder is the user's, and not of a system or an editor."""
    return not name.startswith(".") and name != "__MACOSX"


def _kinds(found: list[str]) -> str:
    """The numbers of files by their suffixes: `3 files (2 .txt, 1 .json)`."""
    if not found:
        return ""
    numbers = collections.Counter(_suffix(path) or "no suffix" for path in found)
    most = [f"{number} {suffix}" for suffix, number in numbers.most_common(5)]
    more = ["..."] if len(numbers) > len(most) else []
    noun = "file" if len(found) == 1 else "files"
    return f"{len(found)} {noun} ({', '.join(most + more)})"


def read_headers(found: Sequence[str]) -> list[Header]:
    """Sizes and channels of image files.

    Raises:
        InputError: names the first file that is no image.
    """
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(_read_header, found))


def _read_header(path: str) -> Header:
    remote = files.is_remote(path)
    # Opening a pipe would wait for a writer.
    if not remote and os.path.exists(path) and not os.path.isfile(path):
        raise unreadable(path, "it is no regular file")
    try:
        with tf.io.gfile.GFile(path, "rb") if remote else open(path, "rb") as file:
            return pillow_images.read_header(file)
    except UnreadableImageError as error:
        raise unreadable(path, str(error)) from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from error


def unreadable(path: str, reason: str) -> InputError:
    """The error that names an unreadable image."""
    return InputError(f"{path} is not a readable image: {reason}.")
