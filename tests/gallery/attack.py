"""Requests to the gallery that no browser sends, over sockets."""

import contextlib
import os
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

_TEXT = st.text(max_size=30).map(urllib.parse.quote)
_NUMBERS = st.one_of(st.integers(-2, 10), st.integers(-(2**64), 2**64)).map(str)
_NAMES = st.sampled_from(
    ["model", "seed", "count", "label", "seed_a", "seed_b", "steps"]
)
_PARAMETERS = st.tuples(
    st.one_of(_NAMES, _TEXT), st.one_of(st.just("student"), _NUMBERS, _TEXT)
)
_SAMPLE = st.tuples(_NUMBERS, _NUMBERS).map(
    lambda v: f"/sample?model=student&seed={v[0]}&count={v[1]}"
)
_WALK = st.tuples(_NUMBERS, _NUMBERS, _NUMBERS).map(
    lambda v: f"/interpolate?model=student&seed_a={v[0]}&seed_b={v[1]}&steps={v[2]}"
)
_PATHS = st.sampled_from(
    ["/", "/models", "/page.js", "/sample", "/interpolate", "//", "/../page.html", "*"]
)
_TARGETS = st.one_of(
    _SAMPLE,
    _WALK,
    st.tuples(
        st.one_of(_PATHS, _TEXT.map(lambda text: f"/{text}")),
        st.lists(_PARAMETERS, max_size=5).map(urllib.parse.urlencode),
    ).map("?".join),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=60),
)
_HOSTS = st.sampled_from(
    ["localhost", "localhost:8008", "[::1]", "evil.example", "localhost.evil", ""]
)
_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
_SITES = ["cross-site", "same-site", "same-origin", "none"]
_UNUSUAL = st.one_of(
    st.tuples(st.just("Host"), st.one_of(_HOSTS, _VALUES)),
    st.tuples(
        st.just("Origin"),
        st.one_of(
            st.sampled_from(["null", "http://localhost", "https://evil.example"]),
            _VALUES,
        ),
    ),
    st.tuples(st.just("Sec-Fetch-Site"), st.one_of(st.sampled_from(_SITES), _VALUES)),
    st.tuples(st.just("Content-Length"), st.one_of(_NUMBERS, _VALUES)),
    st.tuples(st.just("Transfer-Encoding"), st.one_of(st.just("chunked"), _VALUES)),
    st.tuples(st.just("Expect"), st.one_of(st.just("100-continue"), _VALUES)),
    st.tuples(st.sampled_from(["Range", "Accept", "Cookie"]), _VALUES),
)
_HEADERS = st.one_of(
    st.just([("Host", "localhost")]),
    st.tuples(st.just(("Host", "localhost")), _UNUSUAL).map(list),
    st.lists(_UNUSUAL, max_size=3),
)
_METHODS = st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "BREW"])


@st.composite
def _written(draw) -> bytes:
    """Nearly a request."""
    lines = [f"{draw(_METHODS)} {draw(_TARGETS)} HTTP/1.{draw(st.integers(0, 2))}"]
    lines += [f"{name}: {value}" for name, value in draw(_HEADERS)]
    head = "\r\n".join([*lines, "Connection: close", "\r\n"])
    return head.encode("latin-1", "replace") + draw(st.binary(max_size=20))


REQUESTS = st.one_of(_written(), _written(), st.binary(min_size=1, max_size=200))


def ask(port: int, request: bytes, timeout: float = 10.0) -> int | None:
    """The status of the answer to raw bytes; None without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.settimeout(timeout)
        try:
            connection.sendall(request)
            line = connection.makefile("rb").readline()
        except OSError:
            return None
    return int(line.split()[1]) if line else None


def get(port: int, path: str, host: str = "localhost", **headers: str) -> int | None:
    """The status of a request."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ask(port, "\r\n".join([*lines, "\r\n"]).encode())


def random_requests(
    port: int, number: int, examples: int, check: Callable[[bytes, int | None], None]
) -> None:
    """Sends random requests.

    Args:
        port: of the gallery.
        number: seed.
        examples: number of requests.
        check: called with each request and its status.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(request=REQUESTS)
    def send(request: bytes) -> None:
        # Bytes that are no whole request get no answer.
        check(request, ask(port, request, timeout=0.3))

    send()


@contextlib.contextmanager
def slow_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that send a byte of a request again and again, until they break."""
    opened = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(count)]
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.1):
            for connection in list(opened):
                try:
                    connection.send(b"a")
                except OSError:
                    opened.remove(connection)
                    connection.close()

    for connection in opened:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield opened
    finally:
        stop.set()
        thread.join()
        for connection in opened:
            connection.close()


def resources(pid: int) -> tuple[int, int]:
    """Numbers of open files and of threads of a process."""
    return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


def resources_at_most(pid: int, most: tuple[int, int], seconds: float) -> bool:
    """Whether a process soon has no more open files and threads than before."""
    end = time.monotonic() + seconds
    while any(now > then for now, then in zip(resources(pid), most, strict=True)):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
