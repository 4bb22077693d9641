"""Defines the absl flags of a command from the fields of config dataclasses."""

import dataclasses
import typing
from collections.abc import Collection
from typing import Any, TypeVar, cast

from absl import flags
from tf_student.flags import path_flags

from tf_student.presets import systems
from tf_student.runtime import options

T = TypeVar("T")

FLAGS = flags.FLAGS

# Fields of RunConfig that only training uses.
TRAINING_ONLY = ("accumulate", "recompute")

# Groups of flags in the help. absl prints them in the order of their names, its own
# groups (absl.app and others) last.
GROUP = "Flags"
ADVANCED_GROUP = "Flags for advanced use"


def define_common(*directories: str, work_dir: str = "runs/<preset>") -> None:
    """Defines --preset, --work_dir and a flag for each directory.

    Args:
        *directories: names of subdirectories of the work directory, such as `teacher`,
            that have flags to replace them.
        work_dir: the default of --work_dir, for the help.
    """
    names = ", ".join(systems.PRESETS)
    define_string("preset", "digits", f"The preset: {names}.")
    define_path(
        "work_dir",
        f"Directory of everything that the commands write (default: {work_dir}).",
    )
    for name in directories:
        text = f"Directory to use in place of <work_dir>/{name}."
        define_path(f"{name}_dir", text)


def define_path(name: str, text: str) -> None:
    """Defines a flag that belongs to no config and is a path; unset, it is None."""
    path_flags.define(name, None, text, GROUP)


def define_string(name: str, default: str | None, text: str) -> None:
    """Defines a flag that belongs to no config."""
    flags.DEFINE_string(name, default, text, module_name=GROUP)


def define_network(*choices: str) -> None:
    """Defines --network, which selects a network; the first choice is the default."""
    flags.DEFINE_enum(
        "network", choices[0], list(choices), "The network to use.", module_name=GROUP
    )


def define(
    *kinds: type,
    source: str = "from the preset",
    without: Collection[str] = (),
    only: Collection[str] = (),
) -> None:
    """Defines a flag for every field of config dataclasses.

    An unset flag keeps the value of the preset or, for configs that presets do not
    hold, the default of the field.

    Args:
        *kinds: config dataclasses whose fields were made by `options.option`.
        source: for the help, where the values of unset flags of the configs come from
            that presets hold.
        without: names of fields that have no effect on the command.
        only: names of the fields that have one; empty for all but `without`.
    """
    in_preset = typing.get_type_hints(systems.Preset).values()
    for kind in kinds:
        types = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if field.name not in without and (not only or field.name in only):
                default = source if kind in in_preset else repr(field.default)
                _define_field(field, types[field.name], default)


def _define_field(field: dataclasses.Field, kind: Any, default: str) -> None:
    text = f"{field.metadata['doc']} (default: {default})"
    group = ADVANCED_GROUP if field.metadata.get("advanced") else GROUP
    if field.metadata["choices"]:
        _define_choice(field, kind, text, group)
    elif kind is bool:
        flags.DEFINE_boolean(field.name, None, text, module_name=group)
    elif kind is int:
        flags.DEFINE_integer(field.name, None, text, module_name=group)
    elif kind is float:
        flags.DEFINE_float(field.name, None, text, module_name=group)
    elif field.metadata.get("path"):
        path_flags.define(field.name, None, text, group)
    elif kind is str:
        flags.DEFINE_string(field.name, None, text, module_name=group)
    else:
        number = _number_of_tuple(kind)
        flags.DEFINE_list(field.name, None, text, module_name=group)
        plural = {int: "integers", float: "numbers"}[number]
        flags.register_validator(
            field.name,
            lambda words: all(_is(number, word) for word in words or ()),
            f"expected {plural} separated by commas",
        )


def _define_choice(field: dataclasses.Field, kind: Any, text: str, group: str) -> None:
    """Defines the flag of one of several strings, or of several separated by commas."""
    choices = list(field.metadata["choices"])
    if kind == tuple[str, ...]:
        text = f"<{'|'.join(choices)}>: {text}"
        # The config refuses other words.
        flags.DEFINE_list(field.name, None, text, module_name=group)
    else:
        flags.DEFINE_enum(field.name, None, choices, text, module_name=group)


def _number_of_tuple(kind: Any) -> type | None:
    """The type of the numbers of `tuple[int, ...]`, or None for another type."""
    for part in (kind, *typing.get_args(kind)):
        if typing.get_origin(part) is tuple:
            return typing.get_args(part)[0]
    return None


def _is(number: type, word: str) -> bool:
    try:
        number(word)
    except ValueError:
        return False
    return True


def overrides(kind: type) -> dict[str, Any]:
    """Returns the fields of a config whose flags are set, with their values.

    Raises:
        InputError: if a value is not within the limits of its field.
    """
    values = {}
    types = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        flag = FLAGS[field.name] if field.name in FLAGS else None
        if flag is None or flag.value is None:
            continue
        number = _number_of_tuple(types[field.name])
        value = tuple(map(number, flag.value)) if number else flag.value
        options.check_limits(field, value)
        values[field.name] = value
    return values


def resolve(config: T) -> T:
    """Returns a config whose values come from the command line where flags are set."""
    return dataclasses.replace(cast(Any, config), **overrides(type(config)))


def preset(*parts: str) -> systems.Preset:
    """Returns the preset that --preset names.

    Args:
        *parts: names of its configs that take values from the command line. A preset
            has two configs of the same type, one for the teacher and one for the
            student, so that a command must select its own.
    """
    values = systems.get_preset(FLAGS.preset)
    resolved = {part: resolve(getattr(values, part)) for part in parts}
    return dataclasses.replace(values, **resolved)


def directory(name: str) -> str:
    """Returns the value of --<name>_dir, by default <work_dir>/<name>."""
    flag = f"{name}_dir"
    value = FLAGS[flag].value if flag in FLAGS else None
    return value or f"{work_dir()}/{name}"


def work_dir() -> str:
    """Returns the value of --work_dir, by default runs/<preset>.

    Raises:
        InputError: if the preset is unknown.
    """
    preset()
    return FLAGS.work_dir or f"runs/{FLAGS.preset}"
