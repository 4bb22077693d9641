"""Reads PyTorch's files without PyTorch, and without running code in them.

`torch.save` writes a pickle that refers to raw storages: members of a zip archive since
PyTorch 1.6, appended one after the other before. Every offset, stride and size is
compared with the bytes that the file has.
"""

import functools
import io
import math
import os
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_student.convert import state_dicts
from tf_student.convert.rows import Tensors
from tf_student.convert.torch_pickle import CodeError, Machine, TensorPlace
from tf_student.runtime.errors import InputError, first_line

# A file from before PyTorch 1.6 begins with this number, pickled.
_MAGIC = 0x1950A86A20F9469CFC6C
_BFLOAT16 = "BFloat16Storage"
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    # NumPy has no such type: the upper half of a float32.
    _BFLOAT16: "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
# The longest pickle, and the longest directory of an archive.
_PICKLE_BYTES = 64 * 2**20
_DIRECTORY_BYTES = 8 * 2**20

# Returns the bytes of the storage of a key.
_Read = Callable[[str], bytes]


def read(path: str, weights: str = "") -> Tensors:
    """The tensors of a state dict in a file, as float32.

    Args:
        path: of a local file.
        weights: the key of the state dict in a file of several networks; empty for the
            EMA weights, or the only ones. See `state_dicts.choose`.

    Raises:
        InputError: if the file is damaged, holds no state dict, holds several of which
            none is chosen, or refers to code. No code of the file runs in any case.
    """
    try:
        is_archive = zipfile.is_zipfile(path)
        content, storage = (_read_archive if is_archive else _read_stream)(path)
        chosen = state_dicts.choose(content, path, weights)
    except CodeError as error:
        raise InputError(
            f"{path} must hold only tensors. Received: a reference to {error}; nothing "
            "was run."
        ) from error
    except InputError:
        raise
    # Damaged pickles raise errors of nearly every type.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{path} is damaged or not a PyTorch file: {reason}."
        ) from error
    storage = functools.lru_cache(maxsize=1)(storage)

    def tensor(name: str) -> np.ndarray:
        place = (chosen.tensors | chosen.buffers)[name]
        try:
            return _array(place, storage(place.storage.key))
        except Exception as error:
            reason = first_line(error)
            raise InputError(f"{path} is damaged at {name}: {reason}.") from error

    return chosen.opened(path, tensor)


def _array(place: TensorPlace, storage: bytes) -> np.ndarray:
    """The values of a tensor; every one of them lies in its storage."""
    if place.storage.kind not in _DTYPES:
        raise ValueError(f"its type is {place.storage.kind}, which is not supported")
    dtype = np.dtype(_DTYPES[place.storage.kind])
    count, size = len(storage) // dtype.itemsize, math.prod(place.shape)
    steps = zip(place.shape, place.strides, strict=True)
    last = place.offset + sum((n - 1) * step for n, step in steps)
    # With strides of zero, a small storage would give a huge tensor.
    if size > count or (size and last >= count):
        raise ValueError("a tensor reaches beyond its storage")
    if not size:
        return np.zeros(place.shape, np.float32)
    values = np.frombuffer(storage, dtype, count)[place.offset :]
    strides = [step * dtype.itemsize for step in place.strides]
    view = np.lib.stride_tricks.as_strided(
        values, place.shape, strides, writeable=False
    )
    if place.storage.kind == _BFLOAT16:
        return (view.astype(np.uint32) << 16).view(np.float32)
    return view.astype(np.float32)


class _Archive(io.FileIO):
    """A file that refuses to read a huge part at once, until it is opened."""

    longest: int | None = _DIRECTORY_BYTES

    def read(self, size: int | None = -1) -> bytes:
        rest = os.fstat(self.fileno()).st_size - self.tell()
        size = rest if size is None or size < 0 else min(size, rest)
        if self.longest is not None and size > self.longest:
            raise ValueError("its directory is too long")
        return super().read(size)


def _read_archive(path: str) -> tuple[Any, _Read]:
    file = _Archive(path)
    archive, size = zipfile.ZipFile(file), os.path.getsize(path)
    file.longest = None
    for part in archive.infolist():
        # PyTorch does not compress, and a small compressed member may fill the memory.
        if part.compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed")
        if part.file_size != part.compress_size or part.file_size > size:
            raise ValueError(f"its member {part.filename} is longer than the file")
    (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    if archive.getinfo(pickled).file_size > _PICKLE_BYTES:
        raise ValueError(f"its pickle is longer than {_PICKLE_BYTES:,} bytes")
    root = pickled.removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError("its numbers are big-endian")
    content = Machine().load(io.BytesIO(archive.read(pickled)))
    return content, lambda key: archive.read(f"{root}data/{key}")


def _read_stream(path: str) -> tuple[Any, _Read]:
    machine, size = Machine(), os.path.getsize(path)
    with open(path, "rb") as file:
        # The pickles come first.
        pickles = io.BytesIO(file.read(min(size, _PICKLE_BYTES)))
        if machine.load(pickles) != _MAGIC:
            raise ValueError("it does not begin as one")
        machine.load(pickles)  # The protocol's version.
        machine.load(pickles)  # Properties of the machine that wrote it.
        content = machine.load(pickles)
        keys = machine.load(pickles)
        file.seek(pickles.tell())
        places = {}
        for key in keys:
            kind = machine.storages[str(key)]
            if kind not in _DTYPES:
                raise ValueError(f"it holds a {kind}, which is not supported")
            (count,) = struct.unpack("<q", file.read(8))
            start, length = file.tell(), count * np.dtype(_DTYPES[kind]).itemsize
            if not 0 <= length <= size - start:
                raise ValueError(f"its storage {key} is longer than the file")
            places[str(key)] = start, length
            file.seek(length, os.SEEK_CUR)

    def storage(key: str) -> bytes:
        start, length = places[key]
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(length)

    return content, storage
