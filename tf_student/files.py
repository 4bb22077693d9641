"""Files that appear whole or not at all, on any file system TensorFlow knows."""

import contextlib
import fcntl
import io
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student import images
from tf_student.errors import InputError


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Gives a temporary path to write to; it becomes `path` if all went well."""
    temporary = f"{path}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        yield temporary
        _flush_to_disk(temporary)
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(tf.errors.OpError):
            if tf.io.gfile.exists(temporary):
                tf.io.gfile.remove(temporary)
        raise


@contextlib.contextmanager
def replacing_directory(path: str) -> Iterator[str]:
    """Gives a temporary directory to fill; it becomes `path`, which must not exist."""
    temporary = f"{path.rstrip('/')}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        tf.io.gfile.makedirs(temporary)
        yield temporary
        for folder, _, names in tf.io.gfile.walk(temporary):
            for name in names:
                _flush_to_disk(os.path.join(folder, name))
        tf.io.gfile.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(tf.errors.OpError):
            if tf.io.gfile.exists(temporary):
                tf.io.gfile.rmtree(temporary)
        raise


def _flush_to_disk(path: str) -> None:
    """A rename may reach the disk before the data; a power cut must not see that."""
    if os.path.isfile(path):
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def write_text(path: str, text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as temporary:
        with tf.io.gfile.GFile(temporary, "w") as file:
            file.write(text)


def write_json(path: str, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_npz(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name atomically, uncompressed."""
    # zipfile seeks, which files elsewhere cannot.
    content = io.BytesIO()
    np.savez(content, **arrays)
    with replacing(path) as temporary:
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content.getvalue())


def write_png(path: str, image: np.ndarray, *, width: int) -> None:
    """Writes an image atomically, magnified to at most `width` pixels if it is small.

    Args:
        path: of the file.
        image: uint8 `[height, width, channels]`.
        width: in pixels; a larger image stays as it is.
    """
    with replacing(path) as temporary:
        images.write_png(temporary, image, magnify=max(1, width // image.shape[1]))


def read_json(path: str) -> Any:
    """Reads a JSON file; a damaged one is an `InputError` that names it."""
    with tf.io.gfile.GFile(path, "r") as file:
        text = file.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Keeps other processes that ask for the same out of a directory for a while.

    The kernel opens the lock again however a process ends. File systems without locks
    are not locked.

    Raises:
        InputError: if another process has it.
    """
    if not os.path.isdir(directory):
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another process writes to {directory}.") from error
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def remove_leftovers(directory: str, names: Iterable[str]) -> None:
    """Removes what killed writers of those files and folders left in `directory`."""
    names = set(names)
    for path in tf.io.gfile.glob(os.path.join(directory, "*.tmp-*")):
        name = os.path.basename(path).rpartition(".tmp-")[0]
        if name in names:
            with contextlib.suppress(tf.errors.NotFoundError):
                is_folder = tf.io.gfile.isdir(path)
                (tf.io.gfile.rmtree if is_folder else tf.io.gfile.remove)(path)
