"""A directory that belongs to one run, and the configuration stored in it."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import from_dict, to_dict
from tf_student.runtime.version import __version__

CONFIG = "config.json"

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A run's directory, with its `config.json` as it was when it was opened.

    Attributes:
        path: the directory.
        values: the parsed `config.json`: a header (`tf_student`, `command`, `network`)
            and one object for each config dataclass.

    Example:

    >>> run = RunDirectory.open("runs/digits/teacher")
    >>> run.command, run.network
    ('teacher', 'teacher')
    """

    path: str
    values: Mapping[str, Any]

    @classmethod
    def open(cls, path: str) -> "RunDirectory":
        """Opens an existing run.

        Raises:
            InputError: if there is no `config.json`, or it is not a JSON object.
        """
        file = os.path.join(path, CONFIG)
        if not tf.io.gfile.exists(file):
            raise InputError(
                f"{path} must be a run's directory. Received: a path without {CONFIG}."
            )
        values = files.read_json(file)
        if not isinstance(values, dict):
            raise InputError(f"{file} must hold a JSON object.")
        return cls(path, values)

    @classmethod
    def exists(cls, path: str) -> bool:
        """Whether `path` is the directory of a run of this library."""
        file = os.path.join(path, CONFIG)
        if not tf.io.gfile.exists(file):
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
        """Creates the directory for a run, or confirms that it belongs to this run.

        Args:
            path: created if it is missing.
            command: the command that owns the directory.
            configs: config dataclasses by name; written to `config.json`.
            network: what the directory will hold: `teacher` or `student`.

        Raises:
            InputError: if another command created the directory, or created it with
                values that must not change during a run. Nothing is written then.
        """
        if tf.io.gfile.exists(os.path.join(path, CONFIG)):
            cls.open(path)._check_unchanged(command, configs)
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
        """What the directory holds: `teacher`, `student`, or an empty string."""
        if "network" in self.values:
            return self.values["network"]
        # Version 0.1 did not store it.
        converted = self.values.get("convert", {}).get("network", "")
        return {"teacher": "teacher", "distill": "student"}.get(
            self.command or "", converted
        )

    def config(self, name: str, kind: type[T]) -> T:
        """The config dataclass stored under `name`.

        Raises:
            InputError: if it is missing or has options that `kind` does not have.
        """
        if name not in self.values:
            raise InputError(
                f"{os.path.join(self.path, CONFIG)} must have `{name}`. Received: "
                f"{', '.join(self.values)}."
            )
        return from_dict(kind, self.values[name])

    def _check_unchanged(self, command: str, configs: Mapping[str, Any]) -> None:
        if self.command != command:
            raise InputError(
                f"{self.path} belongs to another command. Expected: {command}, "
                f"received: {self.command}."
            )
        for name, config in configs.items():
            new = to_dict(config)
            for field in dataclasses.fields(config):
                old = self.values.get(name, {}).get(field.name, field.default)
                if field.metadata["free"] or old == new[field.name]:
                    continue
                raise InputError(
                    f"{self.path} was started with {field.name}={old!r}. Received: "
                    f"{field.name}={new[field.name]!r}. Use another directory, or "
                    "the old value to continue."
                )
