"""Options as fields of frozen dataclasses, checked and documented in one place."""

import dataclasses
import typing
from typing import Any, TypeVar

from tf_student.runtime.errors import InputError

T = TypeVar("T")


def option(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    free: bool = False,
    advanced: bool = False,
    added: bool = False,
) -> Any:
    """Returns a dataclass field that carries its documentation and its limits.

    Args:
        default: the field's default value.
        doc: one sentence for the help text.
        choices: the allowed strings, if only some are allowed.
        minimum: the smallest allowed number.
        free: whether a run can be resumed with another value. This is true of options
            that change neither the images nor the weights of a given step.
        advanced: whether few users need the option. The command line shows its flag
            only with `--helpfull`.
        added: whether the option is newer than files that must keep their bytes, such
            as the manifests of pairs. Files omit it where it has its default.

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
    metadata = {
        "doc": doc,
        "choices": choices,
        "minimum": minimum,
        "free": free,
        "advanced": advanced,
        "added": added,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check(config: Any) -> None:
    """Checks every field against its choices and its minimum.

    Raises:
        InputError: if a field has another value.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        choices, minimum = field.metadata["choices"], field.metadata["minimum"]
        if choices and value not in choices:
            refuse(field.name, f"be one of: {', '.join(choices)}", value)
        if minimum is not None:
            _check_numbers(field.name, value, minimum)


def _check_numbers(name: str, value: Any, minimum: float) -> None:
    for number in value if isinstance(value, tuple) else (value,):
        # Not `number < minimum`, which is false for NaN.
        if not number >= minimum:
            refuse(name, f"be at least {minimum}", value)
        if number == float("inf"):
            refuse(name, "be finite", value)


def refuse(name: str, expected: str, value: Any) -> typing.NoReturn:
    """Raises an `InputError` that names the field, what was expected, and the value."""
    raise InputError(f"`{name}` must {expected}. Received: {name}={value!r}.")


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


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """Returns the config that `to_dict` turned into `values`.

    Raises:
        InputError: if a name is not a field of `kind`, or a value is not allowed.
    """
    known = {field.name for field in dataclasses.fields(typing.cast(Any, kind))}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"{kind.__name__} has no option named {', '.join(unknown)}; "
            "the file was written by another version."
        )
    return kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    )
