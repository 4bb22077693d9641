"""The directory of a run, with the configuration that is stored in it."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import tensorflow as tf

from tf_student.runtime import contents, files
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import from_dict, to_dict
from tf_student.runtime.version import __version__

CONFIG = contents.RUN
# A run's file has a few thousand bytes.
_BYTES = 4 * 2**20
# The keys that hold no config; version 0.1 wrote `station`.
_STRINGS = ("tf_student", "command", "network", "station")

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The directory of a run, with the configuration in its `config.json`.

    Attributes:
        path: the directory.
        values: the content of `config.json`: the keys `tf_student` (a version),
            `command` and `network`, and one object for each config dataclass.

    Example:

    >>> run = RunDirectory.open("runs/digits/teacher")
    >>> run.command, run.network
    ('teacher', 'teacher')
    >>> run.config("unet", UNetConfig).image_size
    8
    """

    path: str
    values: Mapping[str, Any]

    @classmethod
    def open(cls, path: str) -> "RunDirectory":
        """Opens the directory of an existing run.

        Raises:
            InputError: if `config.json` is missing or damaged.
        """
        file = os.path.join(path, CONFIG)
        if not tf.io.gfile.exists(file):
            raise InputError(
                f"{path} must be a run's directory. Received: a path without {CONFIG}."
            )
        values = files.read_object(file)
        if "tf_student" not in values:
            raise InputError(
                f"{path} must be a run's directory. Received: a {CONFIG} of another "
                "program."
            )
        for name, value in values.items():
            kind, noun = (str, "a string") if name in _STRINGS else (dict, "an object")
            if not isinstance(value, kind):
                raise InputError(f"{file} is damaged: `{name}` must be {noun}.")
        return cls(path, values)

    @classmethod
    def exists(cls, path: str) -> bool:
        """Whether `path` is the directory of a run of this library.

        Raises:
            InputError: if its `config.json` is damaged.
        """
        file = os.path.join(path, CONFIG)
        if not tf.io.gfile.exists(file) or tf.io.gfile.stat(file).length > _BYTES:
            return False
        values = files.read_json(file)
        return isinstance(values, dict) and "tf_student" in values

    @classmethod
    def claim(
        cls,
        path: str,
        command: str,
        configs: Mapping[str, Any],
        *,
        network: str,
    ) -> "RunDirectory":
        """Creates the directory of a run, or checks that it belongs to this run.

        Args:
            path: the directory; it is created if it is missing.
            command: the command that owns the directory.
            configs: config dataclasses by name, to store in `config.json`.
            network: the kind of network that the run stores: `teacher` or `student`.

        Raises:
            InputError: if the directory holds something else, belongs to another
                command, or to a run with other values of options that must not change
                during a run. Nothing is written in this case.
        """
        contents.check(path, CONFIG)
        if tf.io.gfile.exists(os.path.join(path, CONFIG)):
            cls.open(path)._check_unchanged(command, network, configs)
        tf.io.gfile.makedirs(path)
        values = {
            "tf_student": __version__,
            "command": command,
            "network": network,
            **{name: to_dict(config) for name, config in configs.items()},
        }
        files.write_json(os.path.join(path, CONFIG), values)
        return cls(path, values)

    @property
    def command(self) -> str | None:
        """The command that owns the directory."""
        # Version 0.1 called it `station`.
        return self.values.get("command", self.values.get("station"))

    @property
    def network(self) -> str:
        """The stored network: `teacher`, `student`, or an empty string if unknown."""
        if "network" in self.values:
            return self.values["network"]
        # Version 0.1 did not store it.
        converted = self.values.get("convert", {}).get("network", "")
        if not isinstance(converted, str):
            converted = ""
        return {"teacher": "teacher", "distill": "student"}.get(
            self.command or "", converted
        )

    def config(self, name: str, kind: type[T]) -> T:
        """Returns the config dataclass stored under `name`.

        Raises:
            InputError: if it is missing, or if `kind` does not accept its values.
        """
        if name not in self.values:
            raise InputError(
                f"{os.path.join(self.path, CONFIG)} must have `{name}`. Received: "
                f"{', '.join(self.values)}."
            )
        try:
            return from_dict(kind, self.values[name])
        except InputError as error:
            raise InputError(f"{os.path.join(self.path, CONFIG)}: {error}") from error

    def _check_unchanged(
        self, command: str, network: str, configs: Mapping[str, Any]
    ) -> None:
        if self.command != command:
            raise InputError(
                f"{self.path} belongs to another command. Expected: {command}, "
                f"received: {self.command}."
            )
        if self.network not in ("", network):
            raise InputError(
                f"{self.path} has a {self.network}. Received: a {network}."
            )
        for name, config in configs.items():
            given, stored = to_dict(config), self.values.get(name, {})
            for field in dataclasses.fields(config):
                old, new = (v.get(field.name, field.default) for v in (stored, given))
                if field.metadata["free"] or old == new:
                    continue
                raise InputError(
                    f"{self.path} was started with {field.name}={old!r}. Received: "
                    f"{field.name}={new!r}. Use another directory, or the old value to "
                    "continue."
                )
