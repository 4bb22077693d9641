"""Bad values for every flag of every command that is a path."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

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
    "{root}/dangling",
    "{root}/dangling/a/b",
    "{root}/" + "n" * 300,
    "{root}" + "/n" * 3000,
    "{root}/file/below",
    "~nobody_of_this_name/a",
)
# These are no networks, images or pairs: files, folders, other runs, and names
# that are absent, of which some are patterns to TensorFlow and some move a terminal's
# cursor.
NO_INPUTS = (
    "{root}/file",
    "{root}/hollow",
    "{root}/two\nlines",
    "{root}/whole/pairs",
    "{root}/empty_file",
    "{root}/exp[1]",
    "{root}/folder",
    "{root}/binary",
    "{root}/whole/student",
    "{root}/fifo",
    "{root}/pictures",
    "{root}/\x1b[31mred\x1b[0m",
    "{root}/whole/export",
    "{root}/image.png",
    "{root}/exp*",
    "{root}/socket",
    "{root}/whole",
    "{root}/\u202ereversed",
    "/dev/null",
    "{root}/whole/teacher",
    "{root}/exp?{1,2}",
    "/proc/self/mem",
    "{root}/whole/export/1",
    "./~",
    "{root}/whole/student/model.keras",
    "{root}/back\\slash",
    "{root}/\U0001f600 \r\t",
)
# No folder can be made here.
NO_OUTPUTS = (
    "{root}/file",
    "/proc/nowhere",
    "{root}/fifo",
    "/dev/null",
    "{root}/socket",
    "/proc/self/mem",
    "{root}/image.png",
)
# These folders are of others.
OTHERS = (
    "{root}/whole/pairs",
    "{root}/whole/teacher",
    "{root}/hollow",
    "{root}/whole/student",
    "{root}/pictures",
)
# Folders that TensorFlow could not restore weights from.
PATTERNS = ("{root}/exp[1]", "{root}/back\\slash", "{root}/a[b]c/d")

_SOURCE = ("--source={root}/whole/student", "--extractor=digits", "--samples=2")
_STEP = ("--steps=1", "--warmup_steps=0", "--decay_steps=0")
_TLS = ("--server=https://127.0.0.1:1",)
_MATCH = ("--matched_dir={root}/new", *_STEP)
# What each command reads, and the flags with which it does.
INPUTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("teacher", "dataset"): (),
    ("convert", "from"): ("--to={root}/new",),
    ("verify-teacher", "teacher_dir"): (),
    ("verify-teacher", "dataset"): (),
    ("pairs", "teacher_dir"): (),
    ("pairs", "import_from"): (),
    ("distill", "teacher_dir"): (),
    ("distill", "pairs_dir"): (),
    ("match", "teacher_dir"): _MATCH,
    ("match", "student_dir"): _MATCH,
    ("match", "pairs_dir"): (*_MATCH, "--regression=1"),
    ("match", "dataset"): (*_MATCH, "--adversarial=1"),
    ("match", "extractor"): (*_MATCH, "--keep=fid"),
    ("sample", "teacher_dir"): ("--network=both",),
    ("sample", "student_dir"): ("--network=both",),
    ("sample", "matched_dir"): ("--network=all",),
    ("interpolate", "student_dir"): (),
    ("interpolate", "matched_dir"): ("--network=matched",),
    ("evaluate", "teacher_dir"): (),
    ("evaluate", "student_dir"): (),
    ("evaluate", "matched_dir"): (),
    ("evaluate", "extractor"): (),
    ("evaluate", "dataset"): (),
    ("evaluate", "source"): (),
    ("evaluate", "against"): _SOURCE,
    ("export", "teacher_dir"): ("--network=teacher",),
    ("export", "student_dir"): (),
    ("export", "matched_dir"): ("--network=matched",),
    ("rollout", "export_dir"): ("--no_wait",),
    ("rollout", "ca_file"): _TLS,
    ("client", "ca_file"): _TLS,
    ("gallery", "student_model"): (),
    ("gallery", "matched_model"): (),
    ("gallery", "teacher_model"): (),
}
# What each command writes, and the flags with which it would.
OUTPUTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("teacher", "teacher_dir"): _STEP,
    ("convert", "to"): ("--from={root}/whole/student",),
    ("pairs", "pairs_dir"): ("--pairs=8", "--held_out_pairs=8"),
    ("distill", "student_dir"): _STEP,
    ("match", "matched_dir"): _STEP,
    ("export", "export_dir"): (),
    ("sample", "work_dir"): ("--student_dir={root}/whole/student", "--count=1"),
    ("interpolate", "work_dir"): ("--student_dir={root}/whole/student",),
    ("verify-teacher", "work_dir"): ("--teacher_dir={root}/whole/teacher",),
    ("evaluate", "work_dir"): _SOURCE,
    ("client", "served_dir"): ("--server=http://127.0.0.1:1",),
    ("demo", "work_dir"): (),
}
# Values that are right for some flags.
_EXPORTS = ("{root}/whole/export", "{root}/whole/export/1")
_PICTURES = ("{root}/whole", "{root}/whole/teacher")
_RIGHT = {
    "from": ("{root}/whole/student", "{root}/whole/teacher"),
    "teacher_dir": ("{root}/whole/teacher",),
    "student_dir": ("{root}/whole/student",),
    "matched_dir": ("{root}/whole/student",),
    "pairs_dir": ("{root}/whole/pairs",),
    "extractor": _EXPORTS,
    "dataset": _PICTURES,
    "source": (*_PICTURES, *_EXPORTS, "{root}/whole/student"),
    "against": (*_PICTURES, *_EXPORTS, "{root}/whole/student"),
    "export_dir": _EXPORTS,
    "student_model": _EXPORTS,
    "matched_model": _EXPORTS,
    "teacher_model": _EXPORTS,
}
# Before these values are read, networks are.
_SLOW = (
    ("match", "pairs_dir"),
    ("match", "dataset"),
    ("match", "extractor"),
    ("match", "matched_dir"),
    ("evaluate", "dataset"),
    ("evaluate", "extractor"),
    ("pairs", "pairs_dir"),
    ("distill", "student_dir"),
    *((command, "work_dir") for command in ("sample", "interpolate", "evaluate")),
)
# Documents of runs, pairs and exported models.
_DOCUMENTS = (
    "config.json",
    "manifest.json",
    "models.config",
    "saved_model.pb",
    "model.keras",
    "model_index.json",
)


def make_places(root: Path) -> None:
    """Makes the files and folders that the values name."""
    (root / "file").write_text("a regular file")
    (root / "empty_file").touch()
    (root / "binary").write_bytes(b"--steps=5\xff\xfe\n")
    (root / "folder").mkdir()
    os.symlink("loop", root / "loop")
    os.symlink("nothing", root / "dangling")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.open(root, os.O_PATH)
        # The path of a socket may have only about a hundred characters.
        bound.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    Image.fromarray(np.zeros([8, 8], np.uint8)).save(root / "image.png")
    for name in _DOCUMENTS:
        (root / "hollow" / name).mkdir(parents=True)
        (root / "pictures").mkdir(exist_ok=True)
        (root / "pictures" / name).write_bytes((root / "image.png").read_bytes())


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


def inputs(command: str) -> list[BadInput]:
    """Paths of something else, or of nothing, for what a command reads."""
    return _lines(command, INPUTS, NO_INPUTS, _right_inputs)


def _right_inputs(name: str) -> tuple[str, ...]:
    return _RIGHT.get(name, ())


def outputs(command: str) -> list[BadInput]:
    """Paths at which no folder can be made, for what a command writes."""
    return _lines(command, OUTPUTS, (*OTHERS, *PATTERNS, *NO_OUTPUTS), _right_outputs)


def _right_outputs(name: str) -> tuple[str, ...]:
    if name in ("work_dir", "served_dir"):
        return (*OTHERS, *PATTERNS)
    patterns = PATTERNS if name in ("to", "pairs_dir") else ()
    return (*_RIGHT["pairs_dir"], *patterns) if name == "pairs_dir" else patterns


def _lines(
    command: str,
    flags: Mapping[tuple[str, str], tuple[str, ...]],
    values: Iterable[str],
    right: Callable[[str], tuple[str, ...]],
) -> list[BadInput]:
    """A few values of each flag, so that all flags together have all of them."""
    found, waiting = [], list(values)
    for (owner, name), others in flags.items():
        wrong = [value for value in waiting if value not in right(name)]
        chosen = wrong[: 2 if (owner, name) in _SLOW else 3]
        # What was tried waits longest.
        waiting = [value for value in waiting if value not in chosen] + chosen
        for value in chosen if owner == command else ():
            line = (command, *_work_dir(command), *others, f"--{name}={value}")
            found.append(BadInput(line, _spelled(name, value)))
    return found
