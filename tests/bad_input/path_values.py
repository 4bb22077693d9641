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
# These are no networks, images or pairs: other files, other folders, and names that are
# absent, of which some are patterns to TensorFlow and some move a terminal's cursor.
NO_INPUTS = (
    "{root}/file",
    "{root}/empty_file",
    "{root}/folder",
    "{root}/dangling",
    "{root}/fifo",
    "/dev/null",
    "{root}/exp[1]",
    "{root}/exp*",
    "{root}/exp?{1,2}",
    "{root}/two\nlines",
    "{root}/\x1b[31mred\x1b[0m",
    "{root}/\u202ereversed",
    "./~",
    "{root}/back\\slash",
    "{root}/\U0001f600 \r\t",
)
# No folder can be made here.
NO_OUTPUTS = (
    "{root}/file",
    "{root}/dangling",
    "{root}/fifo",
    "/dev/null",
    "/proc/nowhere",
)
# Folders that TensorFlow could not restore weights from.
PATTERNS = ("{root}/exp[1]", "{root}/back\\slash", "{root}/a[b]c/d")

_SOURCE = ("--source={root}/whole/student", "--extractor=digits", "--samples=2")
# What each command reads, and the flags with which it does.
INPUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "teacher": {"dataset": ()},
    "convert": {"from": ("--to={root}/new",)},
    "verify-teacher": {"teacher_dir": (), "dataset": ()},
    "pairs": {"teacher_dir": (), "import_from": ()},
    "distill": {"teacher_dir": (), "pairs_dir": ()},
    "match": {
        "teacher_dir": (),
        "student_dir": (),
        "pairs_dir": ("--regression=1",),
        "dataset": ("--adversarial=1",),
        "extractor": ("--keep=fid",),
    },
    "sample": {
        "teacher_dir": ("--network=both",),
        "student_dir": ("--network=both",),
        "matched_dir": ("--network=all",),
    },
    "interpolate": {"student_dir": (), "matched_dir": ("--network=matched",)},
    "evaluate": {
        "teacher_dir": (),
        "student_dir": (),
        "matched_dir": (),
        "extractor": (),
        "dataset": (),
        "source": (),
        "against": _SOURCE,
    },
    "export": {
        "teacher_dir": ("--network=teacher",),
        "student_dir": (),
        "matched_dir": ("--network=matched",),
    },
    "rollout": {
        "export_dir": ("--no_wait",),
        "ca_file": ("--server=https://127.0.0.1:1",),
    },
    "client": {"ca_file": ("--server=https://127.0.0.1:1",)},
    "gallery": {"student_model": (), "matched_model": (), "teacher_model": ()},
}
# What each command writes, and the flags with which it would.
OUTPUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "teacher": {"teacher_dir": ("--steps=1", "--warmup_steps=0", "--decay_steps=0")},
    "convert": {"to": ("--from={root}/whole/student",)},
    "pairs": {"pairs_dir": ("--pairs=8", "--held_out_pairs=8")},
    "distill": {"student_dir": ("--steps=1", "--warmup_steps=0", "--decay_steps=0")},
    "match": {"matched_dir": ("--steps=1", "--warmup_steps=0", "--decay_steps=0")},
    "export": {"export_dir": ()},
    "sample": {"work_dir": ("--student_dir={root}/whole/student", "--count=1")},
    "interpolate": {"work_dir": ("--student_dir={root}/whole/student",)},
    "verify-teacher": {"work_dir": ("--teacher_dir={root}/whole/teacher",)},
    "evaluate": {"work_dir": _SOURCE},
    "demo": {"work_dir": ()},
}
# Of these outputs, weights are restored.
RESTORED = ("teacher_dir", "student_dir", "matched_dir", "export_dir")


def make_places(root: Path) -> None:
    """Makes the files and folders that the values name."""
    (root / "file").write_text("a regular file")
    (root / "empty_file").touch()
    (root / "binary").write_bytes(b"--steps=5\xff\xfe\n")
    (root / "folder").mkdir()
    os.symlink("loop", root / "loop")
    os.symlink("absent", root / "dangling")
    os.mkfifo(root / "fifo")


def _work_dir(command: str) -> tuple[str, ...]:
    return () if command == "convert" else ("--work_dir={root}/whole",)


def _spelled(name: str, value: str) -> tuple[str, ...]:
    """What a message may have: the flag, or the end of the path with its escapes."""
    last = value.rpartition("/")[2]
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in last)
    return name, escaped, repr(last)[1:-1]


def nowhere(command: str) -> Iterator[BadInput]:
    """Paths at which nothing can be, for every flag that is a path."""
    for definition in flag_values.definitions(command):
        if definition.is_path:
            for value in NOWHERE:
                line = flag_values.arguments(command, f"--{definition.name}={value}")
                yield BadInput(line, (definition.name,))


def inputs(command: str) -> Iterator[BadInput]:
    """Paths of something else, or of nothing, for what a command reads."""
    for name, others in INPUTS.get(command, {}).items():
        for value in NO_INPUTS:
            line = (command, *_work_dir(command), *others, f"--{name}={value}")
            yield BadInput(line, _spelled(name, value))


def outputs(command: str) -> Iterator[BadInput]:
    """Paths at which no folder can be made, for what a command writes."""
    for name, others in OUTPUTS.get(command, {}).items():
        patterns = PATTERNS if name in RESTORED else ()
        for value in (*NO_OUTPUTS, *patterns):
            line = (command, *_work_dir(command), *others, f"--{name}={value}")
            yield BadInput(line, _spelled(name, value))


def of_command(command: str) -> Iterator[BadInput]:
    """Every bad value of every path."""
    yield from nowhere(command)
    yield from inputs(command)
    yield from outputs(command)
