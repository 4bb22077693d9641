"""A connection to a browser that ends after a time, however slowly bytes come or go."""

import time
from typing import Any

from waitress.channel import HTTPChannel


class BoundedChannel(HTTPChannel):
    """A connection for which single bytes are no activity.

    waitress closes connections without activity, and each byte that it receives or
    sends is one. Here only a new connection and a finished answer are, so that slow
    connections cannot stay and keep others out. waitress never closes connections whose
    request waits or runs.
    """

    def __init__(self, *arguments: Any, **options: Any):
        self._active = time.time()
        super().__init__(*arguments, **options)

    @property
    def last_activity(self) -> float:
        """The moment from which the time counts."""
        return self._active

    @last_activity.setter
    def last_activity(self, moment: float) -> None:
        """Called by waitress after each byte; ignored."""

    def service(self) -> None:
        """Answers a request; called by waitress."""
        # The request leaves the queue before this ends.
        self._active = float("inf")
        try:
            super().service()
        finally:
            self._active = time.time()
