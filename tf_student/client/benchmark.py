"""Requests in parallel, and how long they took."""

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
    """A way to a server; used by one thread."""

    def png(self, seed: int, count: int) -> list[bytes]:
        """The images of a seed, as PNG files."""

    def close(self) -> None:
        """Closes the connection."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What the server gave.

    Attributes:
        pngs: PNG files of the first request's seed.
        latencies: seconds of each request, ascending.
        seconds: from the first request's start to the last one's end.
    """

    pngs: list[bytes]
    latencies: list[float]
    seconds: float

    def percentile(self, percent: float) -> float:
        """The least latency, in seconds, that so many percent do not exceed."""
        rank = math.ceil(percent / 100 * len(self.latencies))
        return self.latencies[max(rank, 1) - 1]


def run(connect: Callable[[], Connection], config: ClientConfig) -> Load:
    """Sends `config.requests` requests, `config.concurrency` at once.

    Request `i` asks for `config.count` images of the seed `config.seed + i`. The first
    error ends the run and is raised.
    """
    workers = min(config.concurrency, config.requests)
    numbers, stop = _Numbers(config.requests), threading.Event()
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(_work, connect, config, numbers, stop) for _ in range(workers)
        ]
        try:
            done = [f.result() for f in concurrent.futures.as_completed(futures)]
        finally:
            stop.set()
    seconds = time.perf_counter() - begun
    pngs = [files for first, _ in done for files in first]
    return Load(pngs, sorted(s for _, latencies in done for s in latencies), seconds)


class _Numbers:
    """The numbers of the requests, handed out to threads."""

    def __init__(self, count: int):
        self._numbers, self._lock = iter(range(count)), threading.Lock()

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number


def _work(connect, config, numbers, stop):
    """One thread's requests: the PNGs of the very first, and its own latencies."""
    first, latencies = [], []
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
