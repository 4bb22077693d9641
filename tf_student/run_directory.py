"""A directory that belongs to one run and remembers the run's configuration."""

import dataclasses
import os
from typing import Any

import tensorflow as tf

from tf_student import __version__, files
from tf_student.errors import InputError
from tf_student.options import from_dict, to_dict

CONFIG = "config.json"


def claim(directory: str, station: str, configs: dict[str, Any]) -> None:
    """Makes `directory` this run's, or confirms that it already is.

    Args:
        directory: made if missing.
        station: the command that owns the directory.
        configs: config dataclasses by name; written to `config.json`.

    Raises:
        InputError: if the directory was made by another station or with values that
            cannot change in the middle of a run. It is left as it was.
    """
    path = os.path.join(directory, CONFIG)
    if tf.io.gfile.exists(path):
        _refuse_changes(directory, files.read_json(path), station, configs)
    tf.io.gfile.makedirs(directory)
    resolved = {name: to_dict(config) for name, config in configs.items()}
    header = {"tf_student": __version__, "station": station}
    files.write_json(path, {**header, **resolved})


def _refuse_changes(directory, old, station, configs):
    if old.get("station") != station:
        raise InputError(
            f"{directory} belongs to another command. Expected: {station}, "
            f"received: {old.get('station')}."
        )
    for name, config in configs.items():
        new = to_dict(config)
        for field in dataclasses.fields(config):
            before = old.get(name, {}).get(field.name, field.default)
            if field.metadata["free"] or before == new[field.name]:
                continue
            raise InputError(
                f"{directory} was begun with {field.name}={before!r}. Received: "
                f"{field.name}={new[field.name]!r}. Choose another directory, or "
                "the old value to go on."
            )


def read_config(directory: str, name: str, kind: type) -> Any:
    """Reads one config back from a run's `config.json`.

    Raises:
        InputError: if there is no such run.
    """
    path = os.path.join(directory, CONFIG)
    if not tf.io.gfile.exists(path):
        raise InputError(f"{directory} holds no {CONFIG}; is it a run's directory?")
    values = files.read_json(path)
    if name not in values:
        raise InputError(f"{path} says nothing of `{name}`; is it the right run?")
    return from_dict(kind, values[name])
