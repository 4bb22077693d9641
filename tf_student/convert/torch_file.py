"""Reads PyTorch's files without PyTorch, and without running code in them.

`torch.save` writes a pickle that refers to raw storages: members of a zip archive since
PyTorch 1.6, appended one after the other before. The unpickler here knows the few names
that tensors need and refuses all others.
"""

import collections
import dataclasses
import io
import math
import pickle
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from tf_student.convert.rows import Tensors
from tf_student.runtime.errors import InputError, first_line

# A file from before PyTorch 1.6 begins with this number, pickled.
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


# Opcodes that store the top of the stack in the memo, under a number.
_STORES = ("PUT", "BINPUT", "LONG_BINPUT")


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """The place of a tensor in its storage, counted in elements."""

    key: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.strides)
        if not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise ValueError("the shape of a tensor must be non-negative integers")

    def __setstate__(self, state: Any):
        # A pickle could otherwise replace the checked numbers.
        raise ValueError("a tensor's fields must not be set")

    def view(self, storage: bytes) -> np.ndarray:
        values = np.frombuffer(storage, self.dtype)[self.offset :]
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        size = math.prod(self.shape)
        # With strides of zero, a small storage would give a huge tensor.
        if size > len(values) or (size and reach >= len(values)):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [step * self.dtype.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(values, self.shape, strides)
        return view.astype(np.float32)


class _Unpickler(pickle.Unpickler):
    """Makes dicts, lists and `_Tensor`s only.

    Attributes:
        sizes: bytes of an element of each storage, by the storage's key.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.sizes: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return name
        if module == "torch" and name.endswith("Storage"):
            raise ValueError(f"it holds a {name}, which is not supported")
        # New functions each time, because a pickle can set attributes of a function.
        known: dict[tuple[str, str], Callable] = {
            ("torch._utils", "_rebuild_tensor_v2"): (
                lambda storage, offset, shape, strides, *_: _Tensor(
                    storage[0], storage[1], offset, tuple(shape), tuple(strides)
                )
            ),
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise _CodeError(f"{module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, np.dtype]:
        kind, name, key, *_ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"unknown reference {kind!r}")
        dtype = np.dtype(_DTYPES[name])
        self.sizes[str(key)] = dtype.itemsize
        return str(key), dtype


def _load(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """The content of the pickle at the position of a file, and its storages' sizes.

    Python's memo is an array as long as the largest number that the pickle stores
    something under, so a scan checks these numbers first.
    """
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in _STORES and int(argument or 0) > file.tell() - start:
            raise ValueError(f"its memo has the number {argument}")
    end = file.tell()
    file.seek(start)
    unpickler = _Unpickler(io.BytesIO(file.read(end - start)))
    return unpickler.load(), unpickler.sizes


class _CodeError(Exception):
    """A name that a file of tensors does not need."""


def read(path: str) -> Tensors:
    """The tensors of the state dict in a file, as float32.

    Training scripts save a list; its last state dict, the EMA weights, is taken. The
    prefixes `module.` and `_orig_mod.` are dropped.

    Args:
        path: of a local file.

    Raises:
        InputError: if the file is damaged, holds no state dict, or refers to anything
            but tensors. No code of the file runs in any case.
    """
    try:
        if zipfile.is_zipfile(path):
            content, storage = _read_archive(path)
        else:
            content, storage = _read_stream(path)
        state = _state_dict(content)
    except _CodeError as error:
        raise InputError(
            f"{path} must hold only tensors. Received: a reference to {error}; nothing "
            "was run."
        ) from error
    # Damaged pickles raise errors of nearly every type.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{path} is damaged or not a PyTorch file: {reason}."
        ) from error
    if not state:
        raise InputError(f"{path} must hold a state dict of tensors.")

    def tensor(name: str) -> np.ndarray:
        try:
            return state[name].view(storage(state[name].key))
        except Exception as error:
            raise InputError(f"{path} is damaged at {name}: {error}.") from error

    return Tensors(path, {name: part.shape for name, part in state.items()}, tensor)


def _state_dict(content: Any, depth: int = 3) -> dict[str, _Tensor]:
    if isinstance(content, list | tuple) and depth:
        dicts = [d for part in content if (d := _state_dict(part, depth - 1))]
        return dicts[-1] if dicts else {}
    if not isinstance(content, dict) or not depth:
        return {}
    tensors = {
        _bare(str(name)): value
        for name, value in content.items()
        if isinstance(value, _Tensor)
    }
    if tensors:
        return tensors
    names = ("ema", "ema_state_dict", "state_dict", "model")
    inner = (_state_dict(content.get(name), depth - 1) for name in names)
    return next((tensors for tensors in inner if tensors), {})


def _bare(name: str) -> str:
    """The name without the prefixes of data-parallel training and compilation."""
    while (shorter := re.sub(r"^(module|_orig_mod)\.", "", name)) != name:
        name = shorter
    return name


def _read_archive(path: str) -> tuple[Any, Callable[[str], bytes]]:
    archive = zipfile.ZipFile(path)
    # PyTorch does not compress, and a small compressed member may fill the memory.
    if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
        raise ValueError("it is compressed")
    (pickled,) = [n for n in archive.namelist() if n.endswith("/data.pkl")]
    root = pickled.removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.namelist() and archive.read(order) != b"little":
        raise ValueError("its numbers are big-endian")
    content, _ = _load(io.BytesIO(archive.read(pickled)))
    return content, lambda key: archive.read(f"{root}data/{key}")


def _read_stream(path: str) -> tuple[Any, Callable[[str], bytes]]:
    with open(path, "rb") as file:
        magic, _ = _load(file)
        if magic != _MAGIC:
            raise ValueError("it does not begin as one")
        _load(file)  # The protocol's version.
        _load(file)  # Properties of the machine that wrote it.
        content, sizes = _load(file)
        keys, _ = _load(file)
        places = _places(file, keys, sizes)

    def storage(key: str) -> bytes:
        start, count = places[key]
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(count)

    return content, storage


def _places(file: BinaryIO, keys: list, sizes: dict) -> dict[str, tuple[int, int]]:
    """First byte and length of every storage."""
    places = {}
    for key in map(str, keys):
        (count,) = struct.unpack("<q", file.read(8))
        places[key] = file.tell(), count * sizes[key]
        file.seek(count * sizes[key], 1)
    return places
