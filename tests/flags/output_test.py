"""Commands whose output has no reader or cannot be written."""

import os
import subprocess
import sys

import pytest

from tests.flags import commands

_MODULE = (sys.executable, "-m", "tf_student.flags.teacher")


def _run_into(stdout, *command, unbuffered=""):
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )


@pytest.fixture
def unread():
    """A pipe whose reader has gone away."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize(
    "command",
    [
        (commands.LAUNCHER, "--help"),
        (commands.LAUNCHER, "--version"),
        (commands.LAUNCHER, "teacher", "--help"),
        (commands.LAUNCHER, "gallery", "--dry_run"),
        (*_MODULE, "--help"),
    ],
    ids=["launcher", "version", "command", "work", "module"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error(unread, command, unbuffered):
    finished = _run_into(unread, *command, unbuffered=unbuffered)
    assert (finished.returncode, finished.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [("--help",), ("gallery", "--dry_run")])
def test_a_full_disk_behind_the_output_is_one_line(arguments):
    with open("/dev/full", "w") as full:
        finished = _run_into(full, commands.LAUNCHER, *arguments)
    assert finished.returncode == 2
    assert finished.stderr == (
        "tf-student: cannot write the output: [Errno 28] No space left on device\n"
    )


def test_without_an_output_help_is_no_error():
    closing = f"exec {commands.LAUNCHER} --help >&-"
    finished = _run_into(subprocess.PIPE, "sh", "-c", closing)
    assert (finished.returncode, finished.stderr) == (0, "")
