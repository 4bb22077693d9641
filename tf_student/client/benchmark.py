"""Sends requests in parallel and measures their latencies."""

import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from tf_student.client.client_config import ClientConfig

PERCENTILES = (50, 90, 99)


class Connection(Protocol):
    """A connection to a server, for one thread."""

    def png(self, seed: int, count: int) -> list[bytes]:
        """Requests the images of a seed, as PNG files."""

    def close(self) -> None:
        """Closes the connection."""


@dataclasses.dataclass(frozen=True)
class LoadResult:
    """The images of the first request, and the times of all of them.

    Attributes:
        pngs: PNG files of the first request's seed.
        latencies: seconds of each request, in ascending order.
        seconds: from the start of the first request to the end of the last one.
    """

    pngs: list[bytes]
    latencies: list[float]
    seconds: float

    def percentile(self, percent: float) -> float:
        """The smallest latency, in seconds, that `percent` of the requests reach.

        Example:

        >>> LoadResult([], [0.1, 0.2, 0.3, 0.4], 1.0).percentile(50)
        0.2
        """
        rank = math.ceil(percent / 100 * len(self.latencies))
        return self.latencies[max(rank, 1) - 1]


def run(connect: Callable[[], Connection], config: ClientConfig) -> LoadResult:
    """Sends `config.requests` requests, `config.concurrency` of them at a time.

    Request `i` asks for `config.count` images of the seed `config.seed + i`.

    Args:
        connect: opens a connection; called once by each thread.
        config: the requests.

    Raises:
        ServerError: the first error; later requests are not sent.
    """
    workers = min(config.concurrency, config.requests)
    numbers, stop = _RequestNumbers(config.requests), threading.Event()
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(_send_requests, connect, config, numbers, stop)
            for _ in range(workers)
        ]
        try:
            done = [f.result() for f in concurrent.futures.as_completed(futures)]
        finally:
            stop.set()
    seconds = time.perf_counter() - begun
    pngs = [png for first, _ in done for png in first]
    latencies = sorted(latency for _, latencies in done for latency in latencies)
    return LoadResult(pngs, latencies, seconds)


class _RequestNumbers:
    """The numbers of the requests, each of which only one thread gets."""

    def __init__(self, count: int):
        self._numbers, self._lock = iter(range(count)), threading.Lock()

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number


def _send_requests(
    connect: Callable[[], Connection],
    config: ClientConfig,
    numbers: _RequestNumbers,
    stop: threading.Event,
) -> tuple[list[bytes], list[float]]:
    """Sends the requests of one thread.

    Returns:
        The PNGs of request 0, if this thread sent it, and the latencies.
    """
    first: list[bytes] = []
    latencies = []
    connection = connect()
    try:
        for number in numbers:
            if stop.is_set():
                break
            begun = time.perf_counter()
            pngs = connection.png(config.seed + number, config.count)
            latencies.append(time.perf_counter() - begun)
            if number == 0:
                first = pngs
    finally:
        connection.close()
    return first, latencies
