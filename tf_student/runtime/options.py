"""Options as fields of frozen dataclasses, checked and documented in one place."""

import dataclasses
import functools
import math
import numbers
import typing
from typing import Any, TypeVar

from tf_student.runtime.errors import InputError

T = TypeVar("T")

# The largest seed: TensorFlow's seeds are int64.
MAX_SEED = 2**63 - 1
# The longest value in a message.
_SHOWN = 200
_TYPES: dict[Any, tuple[Any, str]] = {
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a string"),
    bool: (bool, "true or false"),
    type(None): (type(None), "null"),
}


def option(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    free: bool = False,
    advanced: bool = False,
    added: bool = False,
    path: bool = False,
) -> Any:
    """Returns a dataclass field that carries its documentation and its limits.

    Args:
        default: the field's default value.
        doc: one sentence for the help text.
        choices: the allowed strings, or the allowed elements of a sequence.
        minimum: the smallest allowed number.
        maximum: the largest allowed number. Every integer has one, far above what a
            network or a machine could have, so that a damaged file or a slip of the
            keyboard is an error before anything is allocated.
        free: whether a run can be resumed with another value. This is true of options
            that change neither the images nor the weights of a given step.
        advanced: whether few users need the option. The command line shows its flag
            only with `--helpfull`.
        added: whether the option is newer than files that must keep their bytes, such
            as the manifests of pairs. Files omit it where it has its default.
        path: whether it is a path, or a name in whose place a path may be. The command
            line expands `~` in it.

    Example:

    >>> import dataclasses
    >>> from tf_student.runtime.options import check, option
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config:
    ...     steps: int = option(100, "Optimizer steps.", minimum=1)
    >>> check(Config(steps=0))
    Traceback (most recent call last):
    tf_student.runtime.errors.InputError: `steps` must be at least 1. Received: steps=0.
    """
    arguments = dict(locals())
    metadata = {k: v for k, v in arguments.items() if k != "default"}
    return dataclasses.field(default=default, metadata=metadata)


def check(config: Any) -> None:
    """Checks the type of every field, its choices, its minimum and its maximum.

    Raises:
        InputError: if a field has another value.
    """
    check_types(config)
    for field in dataclasses.fields(config):
        check_limits(field, getattr(config, field.name))


def check_limits(field: dataclasses.Field, value: Any) -> None:
    """Checks a value of the field's type: its choices, its minimum and its maximum.

    Raises:
        InputError: if the field must not have the value.
    """
    if choices := field.metadata["choices"]:
        _check_choices(field.name, value, choices)
    _check_numbers(field, value)


def _check_choices(name: str, value: Any, choices: tuple[str, ...]) -> None:
    listed = ", ".join(choices)
    if not isinstance(value, tuple):
        if value not in choices:
            refuse(name, f"be one of: {listed}", value)
        return
    if not value or len(set(value)) < len(value) or not set(value) <= set(choices):
        expected = f"be one or several of: {listed}; each at most once"
        refuse(name, expected, ",".join(value))


def _check_numbers(field: dataclasses.Field, value: Any) -> None:
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    for number in value if isinstance(value, tuple) else (value,):
        if not isinstance(number, numbers.Real):
            continue
        # Not `number < minimum`, which is false for NaN.
        if minimum is not None and not number >= minimum:
            refuse(field.name, f"be at least {minimum}", value)
        if maximum is not None and not number <= maximum:
            refuse(field.name, f"be at most {maximum}", value)
        if not _is_finite(number):
            refuse(field.name, "be finite", value)


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    # An integer that no float can hold.
    except OverflowError:
        return False


def check_types(record: Any) -> None:
    """Checks the type of every field of any dataclass.

    An integer is a number too, and a Boolean value is neither.

    Raises:
        InputError: if a field has a value of another type.
    """
    record_type: Any = type(record)
    for name, kind in _types(record_type).items():
        if not _fits(value := getattr(record, name), kind):
            refuse(name, f"be {_describe(kind)}", value)


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fits(value: Any, kind: Any) -> bool:
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if parts:
        return any(_fits(value, part) for part in parts)
    expected, _ = _TYPES.get(kind, (kind, ""))
    # Booleans are integers to Python.
    return isinstance(value, expected) and isinstance(value, bool) == (kind is bool)


def _describe(kind: Any) -> str:
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        count = "" if parts[-1] is ... else f"{len(parts)} "
        return f"a sequence of {count}{_describe(parts[0]).rpartition(' ')[2]}s"
    if parts:
        return " or ".join(map(_describe, parts))
    return _TYPES[kind][1] if kind in _TYPES else f"a {kind.__name__}"


def refuse(name: str, expected: str, value: Any) -> typing.NoReturn:
    """Raises an `InputError` that names the field, what was expected, and the value."""
    text = repr(value)
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}..."
    raise InputError(f"`{name}` must {expected}. Received: {name}={text}.")


def to_dict(config: Any) -> dict[str, Any]:
    """Returns the config as plain JSON values, with lists for tuples.

    It has no options that were `added` and have their default.
    """
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
        if not (field.metadata["added"] and value == field.default)
    }


def from_dict(kind: type[T], values: Any) -> T:
    """Returns the config that `to_dict` turned into `values`.

    Args:
        kind: a config dataclass.
        values: what a file holds, which may be anything.

    Raises:
        InputError: if `values` is no JSON object, if a name is not a field of `kind`,
            or a value is not allowed.
    """
    if not isinstance(values, dict):
        refuse(kind.__name__, "be a JSON object", values)
    known = {field.name for field in dataclasses.fields(typing.cast(Any, kind))}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"{kind.__name__} has no option named {', '.join(unknown)}; "
            "the file was written by another version."
        )
    config = kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    )
    check(config)
    return config
