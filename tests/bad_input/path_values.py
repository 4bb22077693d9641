"""Bad values for every flag of every command that is a path."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.bad_input import flag_values
from tests.bad_input.many_runs import BadInput

# Nothing can be at these paths, whatever the flag.
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
    "~nobody_of_this_name/a",
)


def make_places(root: Path) -> None:
    """Makes the files and folders that the values name."""
    (root / "file").write_text("a regular file")
    (root / "empty_file").touch()
    (root / "binary").write_bytes(b"--steps=5\xff\xfe\n")
    (root / "folder").mkdir()
    os.symlink("loop", root / "loop")
    os.symlink("absent", root / "dangling")
    os.mkfifo(root / "fifo")


def nowhere(command: str) -> Iterator[BadInput]:
    """Paths at which nothing can be, for every flag that is a path."""
    for definition in flag_values.definitions(command):
        if definition.is_path:
            for value in NOWHERE:
                line = flag_values.arguments(command, f"--{definition.name}={value}")
                yield BadInput(line, (definition.name,))
