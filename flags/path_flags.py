"""Flags whose values are paths, or names in whose place a path may be."""

import errno
import os
import re

from absl import flags

# Remote file systems that TensorFlow opens. It also opens ram://, in memory, for tests.
_REMOTE = ("gs",)
SCHEMES = (*_REMOTE, "ram", "file")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Errors of a path at which nothing is and nothing can be made.
_IMPOSSIBLE = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)


class PathParser(flags.ArgumentParser[str]):
    """Expands `~`, and refuses what neither TensorFlow nor the system can open."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        """Returns the path.

        Raises:
            ValueError: if TensorFlow cannot open it, or the system can have nothing at
                this path: a name that is too long, a loop of links, or a name below a
                file or below a link that leads to nothing.
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
        return argument if scheme and scheme[1] != "file" else _local(argument)


def _local(path: str) -> str:
    """Returns a path of this machine without `~`."""
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        raise ValueError("~ must be followed by / or by a user of this machine")
    try:
        os.stat(expanded)
    except OSError as error:
        if error.errno in _IMPOSSIBLE:
            raise ValueError(os.strerror(error.errno)) from error
        _check_links(expanded)
    return expanded


def _check_links(path: str) -> None:
    """Raises an error if a missing path is, or is below, a link to nothing."""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    if os.path.islink(path) and not os.path.exists(path):
        raise ValueError(f"{path} is a link that leads to nothing")


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
