"""Reads HDF5 files of Keras' weights, which another process looks into first."""

import json
import math
import os
import subprocess
import sys

import numpy as np

from tf_student.convert import h5_index
from tf_student.convert.rows import Tensors
from tf_student.runtime.errors import InputError

# Importing h5py takes most of it, on a busy machine.
_TIMEOUT = 120.0
_TYPES = ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8")


def keras_weights(path: str) -> tuple[Tensors, int]:
    """The weights that Keras' `save_weights` wrote to HDF5.

    They are named by their position in the file, `0`, `1`, ...

    Returns:
        The weights, and the number of top-level layers that have any.

    Raises:
        InputError: if the file is damaged or not one of Keras.
    """
    layers, size = _index(path), os.path.getsize(path)
    places: dict[str, tuple] = {}
    for shape, kind, offset in (weight for layer in layers for weight in layer):
        if kind not in _TYPES:
            raise InputError(f"{path} must hold floats. Received: type {kind}.")
        length = math.prod(shape) * np.dtype(kind).itemsize
        if not 0 <= offset <= size - length:
            raise InputError(f"{path} is damaged: a weight reaches beyond its end.")
        places[str(len(places))] = tuple(shape), kind, offset

    def read(name: str) -> np.ndarray:
        shape, kind, offset = places[name]
        count = math.prod(shape)
        values = np.fromfile(path, kind, count, offset=offset)
        if len(values) < count:
            raise InputError(f"{path} is damaged: it was shortened.")
        return values.reshape(shape)

    tensors = Tensors(path, {name: place[0] for name, place in places.items()}, read)
    return tensors, sum(bool(layer) for layer in layers)


def _index(path: str) -> list[list[tuple]]:
    # The program's own folder is no place for modules that it imports.
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, h5_index.__file__, path],
            capture_output=True,
            env=environment,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{path} is damaged: reading it does not end.") from error
    return layers_of(path, done.returncode, done.stdout)


def layers_of(path: str, code: int, written: bytes) -> list[list[tuple]]:
    """The layers that the program found.

    Args:
        path: the file, for messages.
        code: the program's exit code.
        written: what it wrote.

    Raises:
        InputError: if it found none, or did not end by itself.
    """
    if code:
        raise InputError(f"{path} is damaged: HDF5 ended with exit code {code}.")
    answer = json.loads(written)
    if "error" in answer:
        raise InputError(f"{path} is not a Keras weights file: {answer['error']}.")
    return answer["layers"]
