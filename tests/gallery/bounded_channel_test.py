"""Slow connections to the gallery's server."""

import contextlib
import http.client
import socket
import threading
import time

import pytest

from tf_student.gallery import server

_SECONDS = 1
_SLOW = 160
_LARGE = b"x" * 16 * 2**20


def _page(environment, start):
    """An application with a quick answer, a slow one and a long one."""
    path = environment["PATH_INFO"]
    if path == "/slow":
        time.sleep(2.5 * _SECONDS)
    body = _LARGE if path == "/long" else b"here"
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture
def address():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = server.make_server(_page, listening, seconds=_SECONDS)
        thread = threading.Thread(target=made.run)
        thread.start()
        yield listening.getsockname()
        # The server's loop ends with its last socket.
        made.task_dispatcher.shutdown()
        for channel in list(made.active_channels.values()):
            channel.will_close = True
        made.pull_trigger()
        time.sleep(0.1)
        made.close()
        thread.join(5)
        assert not thread.is_alive()


def _get(address, path="/"):
    connection = http.client.HTTPConnection(*address, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


@contextlib.contextmanager
def _slow_connections(address, first):
    """Connections that send a byte again and again; yields those that are open."""
    opened = [socket.create_connection(address, timeout=10) for _ in range(_SLOW)]
    for connection in opened:
        connection.sendall(first)
        connection.setblocking(False)
    stop = threading.Event()

    def drip():
        while not stop.wait(0.1):
            for connection in list(opened):
                try:
                    if first:
                        connection.send(b"a")
                    if connection.recv(100) == b"":
                        opened.remove(connection)
                except BlockingIOError:
                    pass
                except OSError:
                    opened.remove(connection)

    thread = threading.Thread(target=drip)
    thread.start()
    yield opened
    stop.set()
    thread.join()
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_slow_connections_end_and_do_not_lock_others_out(address, first):
    begun = time.monotonic()
    with _slow_connections(address, first) as opened:
        assert _get(address) == b"here"
        assert time.monotonic() - begun < 1
        while opened and time.monotonic() - begun < 10:
            time.sleep(0.05)
        assert opened == []
        assert time.monotonic() - begun > 0.9 * _SECONDS


def test_the_time_of_a_request_does_not_count(address):
    assert _get(address, "/slow") == b"here"


def test_slow_reader_of_an_answer_is_left(address):
    end = time.monotonic() + 3 * _SECONDS
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        received = 0
        while block := connection.recv(2**10):
            received += len(block)
            # What the operating system has buffered already comes at any speed.
            time.sleep(0.02 if time.monotonic() < end else 0)
    assert received < len(_LARGE)


def test_connection_stays_for_another_request(address):
    connection = http.client.HTTPConnection(*address, timeout=10)
    with contextlib.closing(connection):
        for _ in range(4):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"here"
            time.sleep(0.4 * _SECONDS)
