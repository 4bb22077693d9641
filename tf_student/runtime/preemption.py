"""SIGTERM as a request to save and to end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from tf_student.runtime.errors import Preempted

# Contexts whose state has to be saved before the process may end.
_saving: set["StopSignal"] = set()


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived while there was nothing to save.

    As after Ctrl-C, no `except Exception` stops it.
    """


class StopSignal:
    """A context that SIGTERM ends in an orderly way.

    At first there is nothing to save, and SIGTERM ends the block at once, with a
    `Preempted`. After `defer` it only sets `received`, outside of `interrupting`.

    Args:
        message: of the `Preempted`.

    Attributes:
        received: whether SIGTERM arrived.

    Example:

    >>> from tf_student.runtime.preemption import StopSignal
    >>> with StopSignal("Nothing was saved.") as stop:
    ...     stop.defer()
    ...     stop.received
    False
    """

    def __init__(self, message: str) -> None:
        self.received = self._interrupts = False
        self._message = message
        self._previous: Any = None

    def defer(self) -> None:
        """From now on, the block looks at `received`, saves and ends by itself."""
        _saving.add(self)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """SIGTERM ends this inner block at once with `Terminated`; the caller saves."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def __enter__(self) -> "StopSignal":
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: Any) -> None:
        self.received = True
        if self._interrupts or self not in _saving:
            raise Terminated

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
        _saving.discard(self)
        if isinstance(error, Terminated):
            raise Preempted(self._message) from error


def is_saving() -> bool:
    """Whether a block of this process may have to save before the process ends."""
    return bool(_saving)
