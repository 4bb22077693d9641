"""Files that appear whole or not at all, on any file system TensorFlow knows."""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.runtime.errors import InputError, first_line

# What reading a damaged .npz file raises; of GFile too, for zipfile seeks to before the
# start of a short file.
DAMAGED_ARRAYS = (
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    tf.errors.OpError,
)
_BLOCK = 2**20


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


def read_json(path: str) -> Any:
    """Reads a JSON file; a damaged one is an `InputError` that names it."""
    with tf.io.gfile.GFile(path, "r") as file:
        text = file.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error


@contextlib.contextmanager
def open_npz(path: str) -> Iterator[Any]:
    """Opens an `.npz` file, for `names = list(arrays)` and `arrays[name]`.

    Raises:
        InputError: if it is not an `.npz` file, or an array is damaged where it is
            read. A missing file is a `tf.errors.NotFoundError`.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file, np.load(file) as arrays:
            yield arrays
    except tf.errors.NotFoundError:
        raise
    except DAMAGED_ARRAYS as error:
        reason = first_line(error).rstrip(".")
        raise InputError(f"{path} is not an .npz file of arrays: {reason}.") from error


def sha256(path: str) -> tuple[str, int]:
    """SHA-256 of a file, as hexadecimal digits, and its length in bytes."""
    digest, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


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
