"""A process that ends soon after SIGTERM or Ctrl-C, also within a long call.

Python handles a signal in the main thread, between two of its own instructions. A long
call of TensorFlow delays that, and an exception that is raised in a callback, such as
those of imports and of the garbage collector, is lost. So a lost signal is repeated,
and another thread, which the operating system wakes up, ends the process if it has not
ended by itself.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tf_student.runtime import preemption

# Seconds for a process to clean up. Schedulers wait at least ten after SIGTERM.
_GRACE = 5.0
# Seconds until a signal whose exception was lost is repeated.
_PAUSE = 0.01
_DEFAULTS: dict[int, Any] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


class Farewell(NamedTuple):
    """How a process ends.

    Attributes:
        line: for stderr.
        code: the exit code.
    """

    line: str
    code: int


class _Guard:
    """Handles the signals of a process."""

    def __init__(self, farewells: Mapping[int, Farewell]):
        self.raises = self.told = False
        self._farewells = farewells
        # stderr may be redirected when a signal arrives.
        self._stderr = os.dup(2)
        self._awake, self.wake = os.pipe()
        os.set_blocking(self.wake, False)
        threading.Thread(target=self._watch, daemon=True).start()

    def handle(self, number: int, frame: Any) -> None:
        """Raises an exception for the blocks that clean up, or ends the process."""
        if not self.raises:
            self._leave(number)
        raise preemption.Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def repeat(self, lost: Any) -> None:
        """Repeats a signal whose exception was lost in a callback; `unraisablehook`."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            sys.__unraisablehook__(lost)
            return
        terminated = issubclass(lost.exc_type, preemption.Terminated)
        number = signal.SIGTERM if terminated else signal.SIGINT
        # Not before the callback has ended, which would lose it again.
        threading.Timer(_PAUSE, os.kill, (os.getpid(), number)).start()

    def _watch(self) -> None:
        while number := os.read(self._awake, 1):
            if number[0] in self._farewells:
                self._insist(number[0])
        os.close(self._awake)

    def _insist(self, number: int) -> None:
        thread = threading.Thread(target=self._end, args=(number,), daemon=True)
        thread.start()

    def _end(self, number: int) -> None:
        while number == signal.SIGTERM and preemption.is_saving():
            time.sleep(0.05)
        time.sleep(_GRACE)
        self._leave(number)

    def _leave(self, number: int) -> None:
        line, code = self._farewells[number]
        if not self.told:
            with contextlib.suppress(OSError):
                os.write(self._stderr, f"{line}\n".encode("utf-8", "replace"))
        os._exit(code)


_guard: _Guard | None = None


@contextlib.contextmanager
def guarded(farewells: Mapping[int, Farewell]) -> Iterator[None]:
    """Ends the process on signals: at once, or within seconds inside of `working`.

    Within another such context, or outside of the main thread, it does nothing.

    Args:
        farewells: how the process ends, by signal. Ignored signals stay ignored.
    """
    global _guard
    main = threading.current_thread() is threading.main_thread()
    if _guard is not None or not main:
        yield
        return
    heard = {
        n: f for n, f in farewells.items() if signal.getsignal(n) != signal.SIG_IGN
    }
    _guard = guard = _Guard(heard)
    before = {number: signal.signal(number, guard.handle) for number in heard}
    wake = signal.set_wakeup_fd(guard.wake, warn_on_full_buffer=False)
    hook, sys.unraisablehook = sys.unraisablehook, guard.repeat
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wake)
        sys.unraisablehook = hook
        os.close(guard.wake)
        _guard = None


@contextlib.contextmanager
def working() -> Iterator[None]:
    """Signals raise exceptions, so that blocks can clean up within a few seconds."""
    with _raising(True):
        yield


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Signals end the process at once: exceptions are lost in callbacks of imports."""
    with _raising(False):
        yield


@contextlib.contextmanager
def _raising(value: bool) -> Iterator[None]:
    guard = _guard
    if guard is None:
        yield
        return
    before, guard.raises = guard.raises, value
    try:
        yield
    finally:
        guard.raises = before


def told() -> None:
    """Says that the caller prints how the process ends."""
    if _guard is not None:
        _guard.told = True


# The signals that the forking thread blocks meanwhile.
_forking = threading.local()


def _before_fork() -> None:
    """A signal to a child that still has the pipe would end its parent."""
    if _guard is not None:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _DEFAULTS)


def _after_fork() -> None:
    mask = vars(_forking).pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    """A forked process has the handlers, but not the thread: it ends as others do."""
    global _guard
    guard, _guard = _guard, None
    if guard is not None:
        signal.set_wakeup_fd(-1)
        for number, handler in _DEFAULTS.items():
            if signal.getsignal(number) == guard.handle:
                signal.signal(number, handler)
    _after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child
)
