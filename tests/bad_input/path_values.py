"""Bad values for every flag of every command that is a path."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.bad_input import flag_values
from tests.bad_input.many_runs import BadInput

# Names of folders that are patterns to TensorFlow, and text that a terminal would obey.
STRANGE_NAMES = (
    "exp[1]",
    "exp*",
    "exp?{1,2}",
    "two\nlines",
    "\x1b[31mred\x1b[0m",
    "\u202ereversed",
    "~",
    "-",
    "a b",
    "\U0001f600",
    "back\\slash",
)
# Nothing can be there.
NOWHERE = (
    "s3://bucket/a",
    "hdfs://node/a",
    "https://host/a",
    "S3://bucket/a",
    "viewfs://a",
    "a\x00b",
    "a\udcff",
    "{root}/loop",
    "{root}/loop/a",
    "{root}/" + "n" * 300,
    "{root}" + "/n" * 3000,
    "{root}/file/below",
    "/proc/nowhere/a",
    "~nobody_of_this_name/a",
)


def make_places(root: Path) -> None:
    """Makes the files and folders that the values name."""
    (root / "file").write_text("a regular file")
    (root / "empty_file").touch()
    (root / "folder").mkdir()
    os.symlink("loop", root / "loop")
    os.symlink("absent", root / "dangling")
    os.mkfifo(root / "fifo")


def _spelled(definition: flag_values.Definition, value: str) -> tuple[str, ...]:
    """What a message may have: the flag, or the end of the path with its escapes."""
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
    return definition.name, escaped[-20:], repr(value)[1:-1][-20:]


def of_command(command: str) -> Iterator[BadInput]:
    """Every bad value of every path."""
    for definition in flag_values.definitions(command):
        if definition.is_path:
            for value in NOWHERE:
                line = flag_values.arguments(command, f"--{definition.name}={value}")
                yield BadInput(line, _spelled(definition, value))
