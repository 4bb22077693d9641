"""Options as fields of frozen dataclasses, checked and documented where they stand."""

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
) -> Any:
    """A dataclass field with its documentation.

    Args:
        default: value of the field.
        doc: one sentence for the help text.
        choices: the allowed strings, if there are only a few.
        minimum: smallest allowed number.
        free: whether a run may be continued with another value: true for what changes
            neither the images nor the weights of a given step.
    """
    metadata = {"doc": doc, "choices": choices, "minimum": minimum, "free": free}
    return dataclasses.field(default=default, metadata=metadata)


def check(config: Any) -> None:
    """Checks every field against its own choices and minimum."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        choices, minimum = field.metadata["choices"], field.metadata["minimum"]
        if choices and value not in choices:
            allowed = ", ".join(choices)
            refuse(field.name, f"be one of: {allowed}", value)
        if minimum is not None:
            for number in value if isinstance(value, tuple) else (value,):
                # Written so that NaN is refused too.
                if not number >= minimum:
                    refuse(field.name, f"be at least {minimum}", value)
                if number == float("inf"):
                    refuse(field.name, "be finite", value)


def refuse(name: str, expected: str, value: Any) -> typing.NoReturn:
    """Raises the `InputError` of a field that does not have what was expected."""
    raise InputError(f"`{name}` must {expected}. Received: {name}={value!r}.")


def to_dict(config: Any) -> dict[str, Any]:
    """The config as plain JSON values."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def from_dict(kind: type[T], values: dict[str, Any]) -> T:
    """The inverse of `to_dict`; refuses names that the config does not have."""
    known = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(
            f"{kind.__name__} has no option named {', '.join(unknown)}; "
            "the file was written by another version."
        )
    return kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    )
