"""Reads JSON files of other libraries, within limits."""

from typing import Any

import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError

# A config has a few thousand bytes, the index of many shards a million.
_BYTES = 4 * 2**20
_DEPTH = 16


def read(path: str) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        InputError: if the file is damaged, holds anything but an object or an integer
            of more than 63 bits, is longer than 4 MiB or nested deeper than 16 levels.
    """
    if tf.io.gfile.stat(path).length > _BYTES:
        raise InputError(f"{path} must have at most {_BYTES:,} bytes.")
    # Configs of diffusers have infinity.
    value = files.read_object(path, infinity=True)
    level = list(value.values())
    for _ in range(_DEPTH):
        if huge := [v for v in level if type(v) is int and v.bit_length() > 63]:
            raise InputError(f"{path} must hold no huge integers. Received: {huge[0]}.")
        inside = [v for v in level if isinstance(v, dict | list)]
        level = [
            part for v in inside for part in (v.values() if isinstance(v, dict) else v)
        ]
    if level:
        raise InputError(f"{path} must be nested in at most {_DEPTH} levels.")
    return value
