"""Readers of files of published weights, one tensor at a time."""

import struct
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.convert import state_dicts, torch_file
from tf_student.convert.rows import Tensors
from tf_student.convert.torch_pickle import Storage, TensorPlace
from tf_student.runtime.errors import InputError, first_line

_FLOATS = ("F16", "BF16", "F32", "F64")
# The longest header of a .safetensors file; a tensor takes about 100 bytes of it.
_HEADER_BYTES = 8 * 2**20


def named_tensors(path: str, weights: str = "") -> Tensors:
    """The tensors of a `.safetensors` file or of one of PyTorch's.

    Args:
        path: of a local file.
        weights: the key of the network in a file of several; see `state_dicts.choose`.

    Raises:
        InputError: if it is damaged, or if it is not clear what to read.
    """
    read = safetensors if path.endswith(".safetensors") else torch_file.read
    return read(path, weights)


def safetensors(path: str, weights: str = "") -> Tensors:
    """The tensors of a network in a `.safetensors` file.

    Args:
        path: of a local file.
        weights: the prefix of the network in a file of several; see
            `state_dicts.choose`.

    Raises:
        InputError: if the file is damaged, or of another type than float16, bfloat16,
            float32 and float64, or holds several networks of which none is chosen.
    """
    # It gives safetensors NumPy's bfloat16.
    import ml_dtypes  # noqa: F401
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        file = safe_open(path, framework="np")
        slices = {name: file.get_slice(name) for name in file.keys()}
        for name, part in slices.items():
            if part.get_dtype() not in _FLOATS:
                raise InputError(
                    f"{path} must hold float16, bfloat16, float32 or float64. "
                    f"Received: {name} of {part.get_dtype()}."
                )
        places = {name: _place(name, part) for name, part in slices.items()}
        chosen = state_dicts.choose(places, path, weights)
    except InputError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged or not a safetensors file: {first_line(error)}."
        ) from error

    def read(name: str) -> np.ndarray:
        place = (chosen.tensors | chosen.buffers)[name]
        try:
            return np.asarray(file.get_tensor(place.storage.key), np.float32)
        except SafetensorError as error:
            raise InputError(f"{path} is damaged: {first_line(error)}.") from error

    return chosen.opened(path, read)


def _place(name: str, part: Any) -> TensorPlace:
    shape = tuple(part.get_shape())
    return TensorPlace(Storage(part.get_dtype(), name), 0, shape, shape)


def _check_header(path: str) -> None:
    with open(path, "rb") as file:
        start = file.read(8)
    if len(start) == 8 and struct.unpack("<Q", start)[0] > _HEADER_BYTES:
        raise InputError(
            f"{path} is damaged or not a safetensors file: its header is longer than "
            f"{_HEADER_BYTES:,} bytes."
        )


def checkpoint(prefix: str) -> Tensors:
    """The variables of a TensorFlow checkpoint.

    Args:
        prefix: path of the checkpoint, without `.index` or `.data-00000-of-00001`.

    Raises:
        InputError: if the checkpoint is missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise InputError(f"{prefix} is not a readable checkpoint: {reason}") from error

    def read(name: str) -> np.ndarray:
        try:
            return reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise InputError(f"{prefix} is damaged: {reason}") from error

    return Tensors(prefix, {k: tuple(v) for k, v in shapes.items()}, read)
