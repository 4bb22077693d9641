"""Runs one request at a time, and limits the number of waiting requests."""

import contextlib
import threading
from collections.abc import Iterator


class BusyError(RuntimeError):
    """The queue is full."""


class RequestQueue:
    """A queue of requests, so that their memory does not add up.

    Example:

    >>> queue = RequestQueue(waiting=4)
    >>> with queue.turn():
    ...     images = student.generate(4)
    """

    def __init__(self, waiting: int):
        """Creates an empty queue.

        Args:
            waiting: largest number of requests that wait while another one runs.
        """
        self._places = threading.BoundedSemaphore(1 + waiting)
        self._running = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until the request may run, and keeps others waiting meanwhile.

        Raises:
            BusyError: at once, if the queue is full.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            with self._running:
                yield
        finally:
            self._places.release()
