"""SIGTERM as a request to save and to end."""

import signal
import threading
from types import TracebackType
from typing import Any


class StopSignal:
    """A context in which SIGTERM sets `received` instead of ending the process.

    Attributes:
        received: whether SIGTERM arrived.

    Example:

    >>> from tf_student.runtime.preemption import StopSignal
    >>> with StopSignal() as stop:
    ...     stop.received
    False
    """

    def __init__(self) -> None:
        self.received = False
        self._previous: Any = None

    def __enter__(self) -> "StopSignal":
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: Any) -> None:
        self.received = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
