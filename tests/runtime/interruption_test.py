"""Signals in a process of its own, which they end."""

import hashlib
import multiprocessing
import os
import signal
import threading
import time

import pytest

from tf_student.runtime import interruption, preemption
from tf_student.runtime.preemption import StopSignal

_FORK = multiprocessing.get_context("fork")
_FAREWELLS = {
    signal.SIGTERM: interruption.Farewell("terminated", 75),
    signal.SIGINT: interruption.Farewell("interrupted", 130),
}
_SIGNALS = [(signal.SIGTERM, 75), (signal.SIGINT, 130)]


def _signalled(number):
    os.kill(os.getpid(), number)
    # Another thread than this one ends the process.
    time.sleep(10)


def _deaf(number):
    """The exception is lost, as in the callbacks of imports."""
    with interruption.working():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            time.sleep(10)


def _stuck(number):
    """The main thread does not get back to Python, as in a long call of TensorFlow."""
    with interruption.working():
        threading.Timer(0.1, os.kill, (os.getpid(), number)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)


def _saving(number):
    with interruption.working(), StopSignal("") as stop:
        stop.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        os._exit(7 if stop.received else 8)


def _cleaning(number):
    with interruption.working():
        try:
            os.kill(os.getpid(), number)
        except preemption.Terminated:
            os._exit(7)
        except KeyboardInterrupt:
            os._exit(8)


class _Callback:
    """Python loses exceptions of `__del__`, as of all callbacks."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        time.sleep(0.001)


def _calling(number):
    with interruption.working():
        try:
            callback = _Callback(number)
            del callback
            time.sleep(10)
        except KeyboardInterrupt:
            os._exit(7)


def _importing(number):
    with interruption.working(), interruption.importing():
        try:
            os.kill(os.getpid(), number)
        except BaseException:
            os._exit(7)


@pytest.fixture
def end(monkeypatch):
    """Ends a process by a signal; returns its exit code."""
    monkeypatch.setattr(interruption, "_GRACE", 0.2)

    def guarded(work, number, path):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), 2)
        with interruption.guarded(_FAREWELLS):
            work(number)

    def end(work, number, path):
        process = _FORK.Process(target=guarded, args=(work, number, path))
        process.start()
        process.join(5)
        alive = process.is_alive()
        process.kill()
        assert not alive
        return process.exitcode

    return end


@pytest.mark.parametrize(("number", "code"), _SIGNALS)
@pytest.mark.parametrize("work", [_signalled, _deaf, _stuck, _importing])
def test_process_ends_with_its_line_and_code(end, tmp_path, work, number, code):
    path = tmp_path / "err"
    assert end(work, number, path) == code
    assert path.read_text() == f"{_FAREWELLS[number].line}\n"


def test_blocks_can_clean_up(end, tmp_path):
    assert end(_cleaning, signal.SIGTERM, tmp_path / "err") == 7
    assert end(_cleaning, signal.SIGINT, tmp_path / "err") == 8


@pytest.mark.parametrize("number", _FAREWELLS)
def test_a_signal_that_a_callback_lost_is_repeated(end, tmp_path, monkeypatch, number):
    monkeypatch.setattr(interruption, "_GRACE", 4.0)
    assert end(_calling, number, tmp_path / "err") == 7
    assert (tmp_path / "err").read_text() == ""


def test_process_that_saves_is_not_ended(end, tmp_path):
    assert end(_saving, signal.SIGTERM, tmp_path / "err") == 7


def _told(number):
    with interruption.working():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            interruption.told()
            time.sleep(10)


def test_the_line_is_not_printed_twice(end, tmp_path):
    path = tmp_path / "err"
    assert end(_told, signal.SIGTERM, path) == 75
    assert path.read_text() == ""


def test_everything_is_restored():
    before = [signal.getsignal(number) for number in _FAREWELLS]
    threads = threading.active_count()
    with interruption.guarded(_FAREWELLS):
        assert signal.getsignal(signal.SIGTERM) != before[0]
        with interruption.guarded(_FAREWELLS):
            pass
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in _FAREWELLS] == before
    assert signal.set_wakeup_fd(-1) == -1
    for _ in range(100):
        if threading.active_count() <= threads:
            break
        time.sleep(0.02)
    assert threading.active_count() <= threads


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption.guarded(_FAREWELLS):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_signal_to_a_fork_ends_only_the_fork(monkeypatch):
    monkeypatch.setattr(interruption, "_GRACE", 0.0)
    with interruption.guarded(_FAREWELLS):
        for _ in range(5):
            process = _FORK.Process(target=time.sleep, args=(10,))
            process.start()
            os.kill(process.pid, signal.SIGTERM)
            process.join(5)
            assert process.exitcode == -signal.SIGTERM
        # The thread would have ended this process.
        time.sleep(0.1)
