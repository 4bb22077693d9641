"""Runs many command lines one after the other in one fork, and compares the disk.

A fork of its own for each of a thousand command lines would take minutes. Between two
command lines, the worker gives absl's flags back their state, so that each command is
run by `tf-student` as in a new process.
"""

import contextlib
import dataclasses
import io
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags
from tf_student.flags import launch, main

from tests.flags import commands

# Seconds after which a command line counts as hanging.
LIMIT = 20
# Bytes by which a command line may enlarge the process.
_MEMORY = 2**30
# Bytes of data at which the system refuses more, so that tests do not fill the memory.
_MOST_MEMORY = 6 * 2**30


@dataclasses.dataclass(frozen=True)
class BadInput:
    """A command line that has to be refused.

    Attributes:
        arguments: of `tf-student`. `{root}` is replaced by the folder of the inputs.
        names: the message must have one of them; `{root}` is replaced.
        environment: variables to set.
        code: the documented exit code.
        changes: whether the command may write, because it finds the fault late.
    """

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    code: int = 2
    changes: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command line ended."""

    code: Any
    out: str
    err: str
    seconds: float
    memory: int
    changed: tuple[str, ...]


def faults(inputs: Iterable[BadInput], root: Path) -> dict[str, str]:
    """Runs command lines; returns what is wrong with those that end wrongly.

    Args:
        inputs: the command lines.
        root: a folder with everything that they name. Its subfolders `home` and `here`
            are the home and the current directory of the commands.
    """
    inputs, found = list(inputs), {}
    for bad_input, outcome in zip(inputs, run(inputs, root), strict=True):
        fault = _fault(bad_input, outcome, str(root))
        if fault:
            line = " ".join(map(_short, bad_input.arguments))
            found[f"{dict(bad_input.environment) or ''} {line}"] = fault
    return found


def _short(argument: str) -> str:
    text = repr(argument)[1:-1]
    return text if len(text) < 120 else f"{text[:80]}...({len(text)})"


def _fault(bad_input: BadInput, outcome: Outcome | None, root: str) -> str:
    if outcome is None:
        return f"it ended the process, or took {LIMIT} seconds"
    command, err = bad_input.arguments[0], outcome.err
    names = [name.replace("{root}", root) for name in bad_input.names]
    wrong = {
        "a traceback": "Traceback" in err,
        f"the exit code {outcome.code}": outcome.code != bad_input.code,
        "not one line": err.count("\n") != 1 or err[-1] != "\n",
        "control characters": not err.rstrip("\n").replace("\n", "").isprintable(),
        "not the command's line": not err.startswith(f"tf-student {command}: "),
        "a long line": len(err) > 3000,
        f"none of {names}": not any(name in err for name in names),
        f"changed files {outcome.changed}": outcome.changed and not bad_input.changes,
        f"{outcome.seconds:.0f} seconds": outcome.seconds > LIMIT,
        f"{outcome.memory} bytes of memory": outcome.memory > _MEMORY,
    }
    listed = [text for text, holds in wrong.items() if holds]
    return f"{', '.join(listed)}: {err[-1500:]!r}" if listed else ""


def run(inputs: Sequence[BadInput], root: Path) -> list[Outcome | None]:
    """How command lines end; None for one that hangs or ends the process."""
    outcomes: list[Outcome | None] = []
    while len(outcomes) < len(inputs):
        outcomes += _run_some(inputs[len(outcomes) :], root)
    return outcomes


def _run_some(inputs: Sequence[BadInput], root: Path) -> Iterator[Outcome | None]:
    """Yields outcomes up to the first command line that hangs or ends the process."""
    ours, theirs = commands._FORKSERVER.Pipe()
    worker = commands._FORKSERVER.Process(
        target=_work, args=(theirs, list(inputs), root), daemon=True
    )
    worker.start()
    theirs.close()
    try:
        for number in range(len(inputs)):
            # The first one waits for TensorFlow to be imported.
            if not ours.poll(LIMIT if number else 120):
                yield None
                return
            try:
                yield ours.recv()
            except EOFError:
                yield None
                return
    finally:
        worker.kill()
        worker.join()


def _work(connection: Any, inputs: Iterable[BadInput], root: Path) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    launch.import_quietly("tensorflow")
    app.define_help_flags()
    with _streams() as streams:
        before = snapshot(root)
        for bad_input in inputs:
            outcome = _run_one(bad_input, root, streams, before)
            connection.send(outcome)
            if outcome.changed:
                before = snapshot(root)


def _run_one(bad_input, root, streams, before) -> Outcome:
    begun, memory = time.monotonic(), _peak()
    with unchanged_flags(), _surroundings(bad_input, root):
        sys.argv = [a.replace("{root}", str(root)) for a in bad_input.arguments]
        sys.argv.insert(0, "tf-student")
        code = _end_of(main.run)
    seconds = time.monotonic() - begun
    out, err = (stream.taken() for stream in streams)
    after = snapshot(root)
    both = before.keys() | after.keys()
    changed = tuple(sorted(n for n in both if before.get(n) != after.get(n)))
    return Outcome(code, out, err, seconds, _peak() - memory, changed)


def _end_of(function) -> Any:
    try:
        function()
    except SystemExit as end:
        return end.code
    # As Python itself ends.
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def unchanged_flags() -> Iterator[None]:
    """Gives absl's flags back their state at the end."""
    held = flags.FLAGS.__dict__
    saved = {k: dict(v) if isinstance(v, dict) else v for k, v in held.items()}
    saved |= {
        name: {module: list(of_module) for module, of_module in held[name].items()}
        for name in (
            "__flags_by_module",
            "__flags_by_module_id",
            "__key_flags_by_module",
        )
        if name in held
    }
    values = [(flag, dict(flag.__dict__)) for flag in held["__flags"].values()]
    try:
        yield
    finally:
        held.clear()
        held.update(saved)
        for flag, state in values:
            flag.__dict__.update(state)


@contextlib.contextmanager
def _surroundings(bad_input: BadInput, root: Path) -> Iterator[None]:
    before = dict(os.environ)
    own = {"HOME": str(root / "home"), "TMPDIR": str(root / "temporary")}
    os.environ.update({**own, **bad_input.environment})
    os.chdir(root / "here")
    tempfile.tempdir = str(root / "temporary")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def snapshot(root: Path) -> dict[str, Any]:
    """What is below a folder: by path, the bytes, the target of a link, or None."""
    found: dict[str, Any] = {}
    for parent, folders, names in os.walk(os.fsencode(root)):
        for name in (*folders, *names):
            # TensorFlow removes them when the process ends.
            if name.startswith(b"__autograph_generated_file"):
                continue
            path = os.path.join(parent, name)
            found[os.fsdecode(path)] = _content(path)
    return found


def _content(path: bytes) -> Any:
    if os.path.islink(path):
        return os.readlink(path)
    if not os.path.isfile(path):
        return None
    status = os.stat(path)
    # Reading all bytes again and again would take most of the time.
    return status.st_size, status.st_mtime_ns, status.st_ino


class _Stream:
    """One of the process' two output streams, in a file."""

    def __init__(self, number: int):
        self._file = tempfile.TemporaryFile()
        os.dup2(self._file.fileno(), number)
        self.text = io.TextIOWrapper(
            os.fdopen(number, "wb", buffering=0, closefd=False),
            errors="backslashreplace",
            write_through=True,
        )

    def taken(self) -> str:
        """What was written since the last call."""
        self._file.seek(0)
        content = self._file.read()
        self._file.seek(0)
        self._file.truncate()
        return content.decode(errors="replace")


@contextlib.contextmanager
def _streams() -> Iterator[tuple[_Stream, _Stream]]:
    out, err = _Stream(1), _Stream(2)
    sys.stdout, sys.stderr = out.text, err.text
    yield out, err


def prepare(root: Path) -> None:
    """Makes the folders that commands need."""
    for name in ("home", "here", "temporary"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True)
