"""The command `pairs` in a process, whose work takes a while."""

import subprocess
import time

from tests.flags.commands import LAUNCHER

TIMEOUT = 300


def wait_for(condition):
    """The first true value of a function."""
    end = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


def arguments(teacher, directory):
    """The command, with a sampler of so many calls that it takes a while."""
    return [
        *("pairs", "--preset=digits", f"--teacher_dir={teacher}"),
        *(f"--pairs_dir={directory}", "--pairs=960", "--held_out_pairs=64"),
        *("--shard_pairs=64", "--calls=60", "--device_batch=32", "--deterministic"),
    ]


def start_pairs(teacher, directory, *options):
    """Starts the command."""
    return subprocess.Popen(
        [LAUNCHER, *arguments(teacher, directory), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process):
    """Waits until the command has succeeded."""
    said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, said
