"""Atomic writes, and readers that name a damaged file.

Paths may be on any file system that TensorFlow supports.
"""

import contextlib
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.runtime import atomic, leftovers
from tf_student.runtime.errors import InputError, first_line

# What NumPy raises for a damaged .npz file. zipfile also seeks to before the start of a
# short file, which GFile answers with an error of TensorFlow's.
_DAMAGED_ARRAYS = (
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    # An array larger than the memory, and an encrypted file.
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    tf.errors.OpError,
)
_BLOCK = 2**20


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yields a temporary path to write to, which becomes `path` at the end.

    After an exception, the temporary file is removed and `path` is unchanged.
    """
    temporary = atomic.temporary_name(path)
    try:
        yield temporary
        atomic.flush_to_disk(temporary)
        tf.io.gfile.rename(temporary, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(OSError, tf.errors.OpError):
            leftovers.remove_path(temporary)
        raise


@contextlib.contextmanager
def replacing_directory(path: str, last: str = "") -> Iterator[str]:
    """Yields a temporary directory to fill, which becomes `path` at the end.

    `path` must not exist. After an exception, the temporary directory is removed.

    Object stores have no directories that could be renamed, so there the files get
    their names one after the other. A process that is killed meanwhile leaves some of
    them under `path`, and the temporary directory with the others.

    Args:
        path: the directory.
        last: the file in it that gets its name after all others and without which
            `path` counts as unfinished.

    Raises:
        InputError: if another process has written `path` meanwhile.
    """
    temporary = atomic.temporary_name(path)
    try:
        tf.io.gfile.makedirs(temporary)
        yield temporary
        for folder, _, names in tf.io.gfile.walk(temporary):
            for name in names:
                atomic.flush_to_disk(os.path.join(folder, name))
        if is_remote(path):
            _move_files(temporary, path, last)
        else:
            _rename_directory(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError, tf.errors.OpError):
            leftovers.remove_path(temporary)
        raise


def _rename_directory(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if not os.path.lexists(target):
            raise
        raise InputError(f"{target} was written by another process.") from error


def is_remote(path: str) -> bool:
    """Whether a path names a file system by its scheme, such as `gs://bucket/run`."""
    return "://" in path


def _move_files(source: str, target: str, last: str) -> None:
    """Moves the files of a directory, `last` after all others."""
    moves = []
    for folder, _, names in tf.io.gfile.walk(source):
        relative = os.path.relpath(folder, source)
        into = target if relative == "." else os.path.join(target, relative)
        tf.io.gfile.makedirs(into)
        moves += [(os.path.join(folder, n), os.path.join(into, n)) for n in names]
    end = os.path.join(target, last)
    for old, new in sorted(moves, key=lambda move: move[1] == end):
        tf.io.gfile.rename(old, new)
    tf.io.gfile.rmtree(source)


def write_text(path: str, text: str) -> None:
    """Writes a text file atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file atomically."""
    with replacing(path) as temporary:
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)


def write_json(path: str, value: Any) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_npz(path: str, arrays: Mapping[str, Any]) -> None:
    """Writes arrays by name atomically, uncompressed."""
    # zipfile seeks, which remote files do not support.
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_bytes(path, content.getvalue())


def read_json(path: str, *, infinity: bool = False) -> Any:
    """Reads a JSON file, which anything may have written.

    Args:
        path: of the file.
        infinity: whether it may have NaN and infinity, which Python writes although
            they are not JSON.

    Raises:
        InputError: if the file is damaged: not UTF-8, not JSON, nested too deeply, or
            with integers of thousands of digits.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    try:
        constant = None if infinity else _refuse_constant
        return json.loads(content.decode("utf-8-sig"), parse_constant=constant)
    except (ValueError, RecursionError) as error:
        reason = first_line(error)
        raise InputError(f"{path} is not valid JSON: {reason}.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def read_object(path: str, *, infinity: bool = False) -> dict[str, Any]:
    """Reads a JSON file that holds an object, as `read_json` does.

    Raises:
        InputError: if the file is damaged, or holds a list, a number, null, ...
    """
    values = read_json(path, infinity=infinity)
    if not isinstance(values, dict):
        raise InputError(
            f"{path} must hold a JSON object. Received: {repr(values)[:50]}."
        )
    return values


# Type and shape by the name of an array.
ArrayHeaders = dict[str, tuple[np.dtype, tuple[int, ...]]]


class _Arrays(Mapping[str, Any]):
    """The arrays of an `.npz` file, which may hold other files too."""

    def __init__(self, file: Any):
        self._file = file

    def __getitem__(self, name: str) -> Any:
        value = self._file[name]
        # NumPy returns the bytes of a file that is no array.
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{name!r} is not an array")
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._file.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def headers(self) -> ArrayHeaders:
        """Type and shape of each array, without reading the arrays."""
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        headers = {}
        # A file that is no array has another suffix.
        members = set(self._file.zip.namelist())
        for name in (name for name in self if f"{name}.npy" in members):
            with self._file.zip.open(f"{name}.npy") as file:
                shape, _, dtype = read[np.lib.format.read_magic(file)](file)
            headers[name] = dtype, shape
        return headers


@contextlib.contextmanager
def open_npz(path: str) -> Iterator[Any]:
    """Opens an `.npz` file: `list(arrays)` are its names, `arrays[name]` reads one.

    The block should only read arrays, because errors of a damaged file may appear in
    any statement of it.

    Raises:
        InputError: if the file is not an `.npz` file, or if an array that the block
            reads is damaged or missing.
        tf.errors.NotFoundError: if the file does not exist.
    """
    try:
        with tf.io.gfile.GFile(path, "rb") as file, np.load(file) as arrays:
            yield _Arrays(arrays)
    except (InputError, tf.errors.NotFoundError):
        raise
    except _DAMAGED_ARRAYS as error:
        reason = first_line(error).rstrip(".")
        raise InputError(f"{path} is not an .npz file of arrays: {reason}.") from error


def sha256(path: str) -> tuple[str, int]:
    """Returns the SHA-256 of a file, as hexadecimal digits, and its length in bytes."""
    digest, size = hashlib.sha256(), 0
    for block in blocks(path):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def blocks(path: str) -> Iterator[bytes]:
    """Yields the content of a file in blocks that fit into memory."""
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block
