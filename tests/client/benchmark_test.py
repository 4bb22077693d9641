import threading
import time

import pytest

from tf_student.client import benchmark
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import ServerError


class FakeServer:
    """Connections to a server that records its requests."""

    def __init__(self, fails_at=None, seconds=0.0):
        self.requests, self.opened, self.closed = [], 0, 0
        self.at_once = self.most_at_once = 0
        self._fails_at, self._seconds = fails_at, seconds
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.opened += 1
        return self

    def png(self, seed, count):
        with self._lock:
            self.requests.append((seed, count))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._seconds)
        with self._lock:
            self.at_once -= 1
        if seed == self._fails_at:
            raise ServerError("no more")
        return [b"%d" % seed] * count

    def close(self):
        with self._lock:
            self.closed += 1


def test_every_request_has_its_own_seed():
    server = FakeServer()
    result = benchmark.run(
        server, ClientConfig(seed=5, count=2, requests=20, concurrency=4)
    )
    assert sorted(server.requests) == [(seed, 2) for seed in range(5, 25)]
    assert result.pngs == [b"5", b"5"]
    assert len(result.latencies) == 20


def test_concurrency_is_limited():
    server = FakeServer(seconds=0.02)
    benchmark.run(server, ClientConfig(requests=12, concurrency=3))
    assert server.most_at_once == 3
    assert server.opened == server.closed == 3


def test_no_connection_without_a_request():
    server = FakeServer()
    benchmark.run(server, ClientConfig(requests=2, concurrency=50))
    assert server.opened <= 2


def test_first_error_ends_the_run():
    server = FakeServer(fails_at=3, seconds=0.001)
    with pytest.raises(ServerError, match="no more"):
        benchmark.run(server, ClientConfig(requests=100_000, concurrency=2))
    assert len(server.requests) < 100
    assert server.opened == server.closed


def test_latency_is_the_time_of_a_request():
    result = benchmark.run(FakeServer(seconds=0.02), ClientConfig(requests=3))
    assert 0.02 <= result.latencies[0] <= result.latencies[-1] < result.seconds


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50.0), (90, 90.0), (99, 99.0), (100, 100.0)]
)
def test_percentiles_of_a_hundred_latencies(percent, expected):
    result = benchmark.LoadResult([], [float(i) for i in range(1, 101)], 1.0)
    assert result.percentile(percent) == expected


def test_percentiles_of_one_latency():
    assert benchmark.LoadResult([], [0.25], 1.0).percentile(99) == 0.25
