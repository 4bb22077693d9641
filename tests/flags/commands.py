"""Commands in processes of their own: new processes, and forks, which start at once.

A new process spends six seconds of a core on importing TensorFlow and this library,
which is more than most commands need for their work. A fork starts from a process that
has imported them. It has its own TensorFlow runtime, flags, signals and exit code, and
runs the module of the command as `tf-student` does.
"""

import dataclasses
import multiprocessing
import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tf_student.flags import launch

LAUNCHER = os.path.join(sysconfig.get_path("scripts"), "tf-student")
_TIMEOUT = 240

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(
    [
        "tensorflow",
        "tf_student.flags.costs",
        "tf_student.demo",
        "tf_student.evaluation.compare",
        "tf_student.evaluation.verify_teacher",
        "tf_student.gallery.server",
        "tf_student.models.convert",
    ]
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    code: int
    out: str
    err: str
    seconds: float


def module(command: str) -> str:
    """The module that a command runs."""
    return f"tf_student.flags.{command.replace('-', '_')}"


def _environment() -> dict[str, str]:
    # Users do not have what conftest.py sets for this process.
    return {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


def start(
    command: str, *arguments: Any, launcher: bool = False, **environment: str
) -> subprocess.Popen:
    """Starts `python -m tf_student.flags.<command>` or `tf-student <command>`."""
    program = [sys.executable, "-m", module(command)]
    return subprocess.Popen(
        [*([LAUNCHER, command] if launcher else program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_environment(), **environment},
    )


def run(command: str, *arguments: Any, **options: Any) -> Finished:
    """Runs a command to its end, in a new process."""
    begun = time.monotonic()
    process = start(command, *arguments, **options)
    out, err = process.communicate(timeout=_TIMEOUT)
    return Finished(process.returncode, out, err, time.monotonic() - begun)


def fork(
    command: str,
    *arguments: Any,
    signal: int | None = None,
    when: Callable[[], bool] = lambda: True,
) -> Finished:
    """Runs a command in a fork, to its end.

    Args:
        command: the command.
        *arguments: its flags.
        signal: a signal to send while the command is running.
        when: whether to send the signal yet; asked again and again.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _FORKSERVER.Process(
            target=_work,
            args=(module(command), [*map(str, arguments)], _environment(), out, err),
            daemon=True,
        )
        process.start()
        while signal is not None and not when():
            assert process.is_alive(), f"ended too early: {err.read_text()}"
            assert time.monotonic() - begun < _TIMEOUT
            time.sleep(0.005)
        if signal is not None:
            os.kill(process.pid, signal)
        process.join(_TIMEOUT)
        assert not process.is_alive()
        return Finished(
            process.exitcode,
            out.read_text(),
            err.read_text(),
            time.monotonic() - begun,
        )


def _work(
    name: str, arguments: list[str], environment: dict[str, str], out: Path, err: Path
) -> None:
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    # A new process imports TensorFlow later; its messages on devices come now.
    launch.import_quietly("tensorflow")
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
