"""Signals while a command is still importing TensorFlow, which takes seconds."""

import signal
import time
from pathlib import Path

import pytest

from tests.flags import commands

_LINES = {
    signal.SIGTERM: "stopped by SIGTERM. The same command continues.",
    signal.SIGINT: "interrupted; run the same command again to continue",
}


def _wait_for_handler(process, number):
    """Before, while Python itself starts, a signal ends any process."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        (caught,) = (
            line for line in status.read_text().splitlines() if "SigCgt" in line
        )
        if int(caught.split()[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.01)


def _signalled(process, number, delay):
    """Exit code, stderr, and the seconds that the process took to end."""
    _wait_for_handler(process, number)
    time.sleep(delay)
    begun = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err, time.monotonic() - begun


# Python catches Ctrl-C before the command does.
@pytest.mark.parametrize(
    ("number", "code", "delays"),
    [(signal.SIGTERM, 75, (0, 0.7)), (signal.SIGINT, 130, (0.8, 1.5))],
)
def test_signal_during_imports_ends_the_command(number, code, delays, tmp_path):
    place = f"--work_dir={tmp_path}"
    for delay in delays:
        process = commands.start("evaluate", place, launcher=True)
        ended, err, seconds = _signalled(process, number, delay)
        assert (ended, err) == (code, f"tf-student evaluate: {_LINES[number]}\n")
        assert seconds < 10
    assert list(tmp_path.iterdir()) == []
