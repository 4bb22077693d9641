"""The options of configs that other libraries write."""

import dataclasses
from typing import Any, TypeVar, cast

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check

T = TypeVar("T")


def read_options(kind: type[T], values: dict[str, Any], origin: str) -> T:
    """The options among the values of a JSON object that a config dataclass has.

    Args:
        kind: the dataclass, with a default for each option; see `runtime.options`.
        values: the object, which may have any other names.
        origin: the file, for messages.

    Raises:
        InputError: if an option has another type or is outside its limits.
    """
    names = {field.name for field in dataclasses.fields(cast(Any, kind))}
    options = kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if name in names
        }
    )
    try:
        check(options)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
    return options
