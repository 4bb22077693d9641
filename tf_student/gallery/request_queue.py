"""One call at a time, a few that wait for it, and no more."""

import contextlib
import threading
from collections.abc import Iterator


class BusyError(RuntimeError):
    """So many wait already that another one may not."""


class Gate:
    """Keeps the memory of many requests to that of one."""

    def __init__(self, waiting: int):
        """Lets one in, and `waiting` others wait."""
        self._places = threading.BoundedSemaphore(1 + waiting)
        self._turn = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for its turn.

        Raises:
            BusyError: at once, if there is no place to wait.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            with self._turn:
                yield
        finally:
            self._places.release()
