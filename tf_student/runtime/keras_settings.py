"""Keras' own settings, which it reads when it is imported.

They are environment variables and `keras.json`. This module imports neither Keras nor
TensorFlow: with wrong settings, importing Keras fails, or its layers do later.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from tf_student.runtime.errors import InputError

_FILE = "keras.json"
# What Keras uses without a file, and what this library's networks need.
_REQUIRED = {"backend": "tensorflow", "image_data_format": "channels_last"}
_FLOATS = ("float16", "float32", "float64")
_INTEGERS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


def check() -> None:
    """Raises an `InputError` that names the variable or the file with a wrong setting.

    Networks need the backend TensorFlow, and images whose channels are last.
    """
    environment = os.environ
    backend = environment.get("KERAS_BACKEND", "")
    if backend not in ("", _REQUIRED["backend"]):
        _refuse("The environment variable KERAS_BACKEND", "be tensorflow", backend)
    for name in _INTEGERS:
        _check_integer(name, environment.get(name, "0"))
    path = _path(environment)
    if os.path.exists(path):
        _check_file(path, environment_has_backend=bool(backend))


def _path(environment: Mapping[str, str]) -> str:
    """Where Keras looks for its file."""
    home = os.path.expanduser("~")
    default = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    folder = environment.get("KERAS_HOME", default)
    return os.path.expanduser(os.path.join(folder, _FILE))


def _check_integer(name: str, value: str) -> None:
    try:
        int(value)
    except ValueError:
        _refuse(f"The environment variable {name}", "be an integer", value)


def _check_file(path: str, environment_has_backend: bool) -> None:
    values = _read(path)
    if not isinstance(values, dict):
        _refuse(path, "hold a JSON object", values)
    for name, required in _REQUIRED.items():
        value = values.get(name, required)
        replaced = name == "backend" and environment_has_backend
        if value != required and not replaced:
            _refuse(f"`{name}` in {path}", f"be {required}", value)
    if (floats := values.get("floatx", "float32")) not in _FLOATS:
        _refuse(f"`floatx` in {path}", f"be one of: {', '.join(_FLOATS)}", floats)
    if not isinstance(epsilon := values.get("epsilon", 1e-7), float):
        _refuse(f"`epsilon` in {path}", "be a number such as 1e-07", epsilon)


def _read(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return json.loads(content)
    # Keras ignores such a file.
    except ValueError:
        return {}
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply.") from error


def _refuse(name: str, expected: str, value: Any) -> None:
    raise InputError(f"{name} must {expected}. Received: {value!r}.")
