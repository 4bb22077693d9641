"""Reads PyTorch's files without PyTorch, and without running anything in them.

A file of `torch.save` is a pickle that refers to raw storages: members of a zip archive
since PyTorch 1.6, appended one after the other before. The unpickler here knows the few
names that tensors need and refuses all others.
"""

import collections
import dataclasses
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from tf_student.convert.rows import Tensors
from tf_student.runtime.errors import InputError, first_line

# What a file from before PyTorch 1.6 begins with, pickled.
_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """Where a tensor lies in its storage, counted in elements."""

    key: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError("a tensor's shape is no shape")

    def view(self, storage: bytes) -> np.ndarray:
        values = np.frombuffer(storage, self.dtype)[self.offset :]
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        size = math.prod(self.shape)
        # Strides of zero would make much of little.
        if size > len(values) or (size and reach >= len(values)):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [step * self.dtype.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(values, self.shape, strides)
        return view.astype(np.float32)


# The one in Python, not in C: a number in the file makes the latter's memo fill memory.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        if module == "torch" and name.endswith("Storage"):
            raise ValueError(f"it holds a {name}, which is not supported")
        known = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise _CodeError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[np.dtype, str]:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        return dtype, str(key)


class _CodeError(Exception):
    """A name that a file of tensors has no use for."""


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    return _Tensor(storage[1], storage[0], offset, tuple(shape), tuple(strides))


def read(path: str) -> Tensors:
    """The tensors of the state dict in a file, as float32.

    Of a list, as training scripts save it, the last state dict is taken: the averaged
    weights. The prefix `module.` of data parallel training is dropped.

    Raises:
        InputError: if the file is damaged, holds no state dict, or refers to anything
            but tensors; nothing of it has been run then.
    """
    try:
        if zipfile.is_zipfile(path):
            content, storage = _read_archive(path)
        else:
            content, storage = _read_stream(path)
        found = _state_dict(content)
    except _CodeError as error:
        raise InputError(
            f"{path} was refused: it wants to run {error}, and a file of weights holds "
            "tensors alone."
        ) from error
    # Damaged pickles raise nearly anything.
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"{path} is damaged or no PyTorch file: {reason}.") from error
    if not found:
        raise InputError(f"{path} holds no state dict of tensors.")

    def tensor(name: str) -> np.ndarray:
        try:
            return found[name].view(storage(found[name].key))
        except Exception as error:
            raise InputError(f"{path} is damaged at {name}: {error}.") from error

    return Tensors(path, {name: part.shape for name, part in found.items()}, tensor)


def _state_dict(content: Any, depth: int = 3) -> dict[str, _Tensor]:
    if isinstance(content, list | tuple) and depth:
        dicts = [d for part in content if (d := _state_dict(part, depth - 1))]
        return dicts[-1] if dicts else {}
    if not isinstance(content, dict) or not depth:
        return {}
    tensors = {
        str(name).removeprefix("module."): value
        for name, value in content.items()
        if isinstance(value, _Tensor)
    }
    if tensors:
        return tensors
    names = ("ema", "ema_state_dict", "state_dict", "model")
    inner = (_state_dict(content.get(name), depth - 1) for name in names)
    return next((found for found in inner if found), {})


def _read_archive(path: str) -> tuple[Any, Callable[[str], bytes]]:
    archive = zipfile.ZipFile(path)
    # PyTorch compresses nothing; what is compressed may unpack to anything.
    if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
        raise ValueError("it is compressed")
    (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    root = pickled.removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError("its numbers are big-endian")
    with archive.open(pickled) as file:
        content = _Unpickler(file).load()
    return content, lambda key: archive.read(f"{root}data/{key}")


def _read_stream(path: str) -> tuple[Any, Callable[[str], bytes]]:
    with open(path, "rb") as file:
        if _Unpickler(file).load() != _MAGIC:
            raise ValueError("it does not begin as one")
        _Unpickler(file).load()  # The protocol's version.
        _Unpickler(file).load()  # Of the machine that wrote it.
        unpickler = _Sized(file)
        content = unpickler.load()
        places = _places(file, _Unpickler(file).load(), unpickler.sizes)

    def storage(key: str) -> bytes:
        start, count = places[key]
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(count)

    return content, storage


class _Sized(_Unpickler):
    """Remembers how many bytes an element of each storage has."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.sizes: dict[str, int] = {}

    def persistent_load(self, pid: Any) -> tuple[np.dtype, str]:
        dtype, key = super().persistent_load(pid)
        self.sizes[key] = dtype.itemsize
        return dtype, key


def _places(file: BinaryIO, keys: list, sizes: dict) -> dict[str, tuple[int, int]]:
    """First byte and length of every storage."""
    places = {}
    for key in map(str, keys):
        (count,) = struct.unpack("<q", file.read(8))
        places[key] = file.tell(), count * sizes[key]
        file.seek(count * sizes[key], 1)
    return places
