"""Flags whose values are paths, or names in whose place a path may be."""

import os
import re

from absl import flags

# Remote file systems that TensorFlow opens. It also opens ram://, in memory, for tests.
_REMOTE = ("gs",)
SCHEMES = (*_REMOTE, "ram", "file")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class PathParser(flags.ArgumentParser[str]):
    """Expands `~`, and refuses what TensorFlow cannot open."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        """Returns the path.

        Raises:
            ValueError: if TensorFlow cannot open it.
        """
        scheme = _SCHEME.match(argument)
        if scheme and scheme[1] not in SCHEMES:
            raise ValueError(
                f"{scheme[0]} cannot be opened. Of remote paths, those of "
                f"{', '.join(f'{name}://' for name in _REMOTE)} can"
            )
        if scheme and scheme[1] == "file":
            argument = argument.removeprefix("file://")
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise ValueError("a path must be UTF-8") from error
        if "\0" in argument:
            raise ValueError("a path must have no null character")
        return os.path.expanduser(argument)


def define(name: str, default: str | None, text: str, group: str) -> None:
    """Defines a flag.

    Args:
        name: of the flag.
        default: used as it is.
        text: for the help.
        group: of the help.
    """
    flags.DEFINE(
        PathParser(),
        name,
        default,
        text,
        serializer=flags.ArgumentSerializer(),
        module_name=group,
    )
