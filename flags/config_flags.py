"""absl flags derived from the fields of config dataclasses."""

import dataclasses
import typing
from typing import Any, TypeVar

from absl import flags

from tf_student.presets import systems

T = TypeVar("T")

# Flags defined through this module count as the calling station's own in --help.
flags.disclaim_key_flags()

FLAGS = flags.FLAGS


def define_common(*directories: str) -> None:
    """Defines --preset, --work_dir, --dry_run and a flag for each directory.

    Args:
        *directories: `teacher`, `pairs`, .. : parts of the work directory that can be
            somewhere else.
    """
    flags.DEFINE_string(
        "preset", "digits", f"The system: {', '.join(systems.PRESETS)}."
    )
    flags.DEFINE_string(
        "work_dir", None, "Where everything is kept (default: runs/<preset>)."
    )
    for name in directories:
        flags.DEFINE_string(
            f"{name}_dir", None, f"The {name} (default: <work_dir>/{name})."
        )
    define_dry_run()


def define_dry_run() -> None:
    """Defines --dry_run."""
    flags.DEFINE_boolean("dry_run", False, "Say what would be done, and do nothing.")


def define_network(*choices: str) -> None:
    """Defines --network, which selects a network; the first choice is the default."""
    text = f"The network: {', '.join(choices)}."
    flags.DEFINE_enum("network", choices[0], list(choices), text)


def define(*kinds: type) -> None:
    """Defines a flag for every field of the given config dataclasses.

    A flag that is not given leaves the preset's value, or the config's own.
    """
    of_preset = typing.get_type_hints(systems.Preset).values()
    for kind in kinds:
        types = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            default = "the preset's" if kind in of_preset else repr(field.default)
            _define_field(field, types[field.name], default)


def _define_field(field: dataclasses.Field, kind: Any, default: str) -> None:
    text = f"{field.metadata['doc']} (default: {default})"
    if field.metadata["choices"]:
        choices = list(field.metadata["choices"])
        flags.DEFINE_enum(field.name, None, choices, text)
    elif kind is bool:
        flags.DEFINE_boolean(field.name, None, text)
    elif kind is int:
        flags.DEFINE_integer(field.name, None, text)
    elif kind is float:
        flags.DEFINE_float(field.name, None, text)
    elif kind is str:
        flags.DEFINE_string(field.name, None, text)
    else:
        assert typing.get_args(kind) == (int, ...), kind
        flags.DEFINE_list(field.name, None, text)
        flags.register_validator(
            field.name, _are_integers, "expected integers separated by commas"
        )


def _are_integers(words: list[str] | None) -> bool:
    return all(word.strip().lstrip("-").isdigit() for word in words or ())


def given(kind: type) -> dict[str, Any]:
    """Fields of a config whose flags are on the command line, with their values."""
    values = {}
    types = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        flag = FLAGS[field.name] if field.name in FLAGS else None
        if flag is None or flag.value is None:
            continue
        many = typing.get_origin(types[field.name]) is tuple
        values[field.name] = tuple(map(int, flag.value)) if many else flag.value
    return values


def resolve(config: T) -> T:
    """A config with the values of the flags on the command line."""
    return dataclasses.replace(config, **given(type(config)))


def preset(*parts: str) -> systems.Preset:
    """The preset that --preset names.

    Args:
        *parts: names of its configs that take the values of the flags on the command
            line. A preset has two of the same kind, for teacher and student.
    """
    values = systems.get_preset(FLAGS.preset)
    resolved = {part: resolve(getattr(values, part)) for part in parts}
    return dataclasses.replace(values, **resolved)


def directory(name: str) -> str:
    """The directory of that part of the work: its own flag, or below --work_dir."""
    flag = f"{name}_dir"
    if flag in FLAGS and FLAGS[flag].value:
        return FLAGS[flag].value
    return f"{work_dir()}/{name}"


def work_dir() -> str:
    """--work_dir, by default runs/<preset>."""
    return FLAGS.work_dir or f"runs/{FLAGS.preset}"
