"""Names of files and directories, which are data and never patterns.

`tf.io.gfile.glob` reads the name of a directory as a pattern: it lists `runs/exp1` for
`runs/exp[1]/*`. So directories are listed, and names are matched, here and in Python.
"""

import os
import re
from collections.abc import Callable

import tensorflow as tf

from tf_student.runtime.errors import InputError

# TensorFlow finds a checkpoint by a pattern, in which these do not match themselves.
_PATTERN = re.compile(r"\[.*\]|\\", re.DOTALL)


def listdir(directory: str) -> list[str]:
    """The names in a directory, sorted, without the `/` of remote folders.

    TensorFlow cannot list a directory in which a name is not UTF-8.

    Returns:
        The names; none if the directory does not exist.
    """
    if not tf.io.gfile.isdir(directory):
        return []
    try:
        if "://" in directory:
            names = tf.io.gfile.listdir(directory)
        else:
            names = os.listdir(directory)
    # Another process may have removed it.
    except (FileNotFoundError, tf.errors.NotFoundError):
        return []
    return sorted(name.rstrip("/") for name in names)


def files_below(directory: str, is_wanted: Callable[[str], bool]) -> list[str]:
    """The paths of all files in a directory and in those below it, sorted.

    Args:
        directory: where to look.
        is_wanted: whether to look at a file or a directory of this name.

    Raises:
        InputError: if a wanted name is not UTF-8.
    """
    remote = "://" in directory
    walk = tf.io.gfile.walk(directory) if remote else _walk(directory, is_wanted)
    found = []
    for parent, _, names in walk:
        between = parent.removeprefix(directory).strip("/").split("/")
        if not all(is_wanted(name) for name in between if name):
            continue
        for name in filter(is_wanted, names):
            if not is_utf8(name):
                raise InputError(
                    f"A file's name must be UTF-8. Received: {name!r} in {parent}."
                )
            found.append(os.path.join(parent, name))
    return sorted(found)


def _walk(directory, is_wanted):
    for parent, folders, names in os.walk(directory, followlinks=True):
        folders[:] = filter(is_wanted, folders)
        yield parent, folders, names


def is_utf8(name: str) -> bool:
    """Whether a name, as Python received it from the system, is UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def check_restorable(path: str) -> None:
    """Raises an `InputError` if TensorFlow cannot restore weights from a directory.

    Args:
        path: a directory of checkpoints or of a SavedModel, or one below which they
            will be written.
    """
    if found := _PATTERN.search(path):
        raise InputError(
            f"A directory of weights must have no {found[0]!r} in its path, which "
            f"TensorFlow reads as a pattern when it restores them. Received: {path}."
        )
