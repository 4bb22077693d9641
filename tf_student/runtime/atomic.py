"""Atomic writes: a file appears under its name only when it is complete.

This module writes local files and does not import TensorFlow; `files` builds on it for
every file system that TensorFlow supports.
"""

import contextlib
import os
import re
import uuid

# Between the name of a file and the random part of its temporary name.
MARK = ".tmp-"
_TEMPORARY = re.compile(rf"(.+){re.escape(MARK)}[0-9a-f]{{8}}", re.DOTALL)


def temporary_name(path: str) -> str:
    """Returns a new name beside `path` for a file that is still being written."""
    return f"{path.rstrip('/')}{MARK}{uuid.uuid4().hex[:8]}"


def final_name(name: str) -> str:
    """Returns the name that a temporary file would get; empty for any other file."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else ""


def flush_to_disk(path: str) -> None:
    """Waits until the content of a local file is on the disk.

    Without it, a rename may reach the disk before the content, and a power failure
    between the two leaves an empty file.
    """
    if os.path.isfile(path):
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def write_bytes(path: str, content: bytes) -> None:
    """Writes a local file atomically; an existing file is replaced."""
    temporary = temporary_name(path)
    try:
        with open(temporary, "wb") as file:
            file.write(content)
        flush_to_disk(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)
        raise
