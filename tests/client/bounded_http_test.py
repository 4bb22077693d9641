"""Answers without an end, without measure and without sense."""

import contextlib
import time
import tracemalloc

import pytest

from tests.client import http_answers
from tf_student.client.bounded_http import BoundedHttp
from tf_student.runtime.errors import ServerError

_LIMIT = 2**16
_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _writes(first, again=b"", pause=0.0):
    """An answer that begins with some bytes and repeats others for ever."""

    def write(handler):
        handler.wfile.write(first)
        while again:
            handler.wfile.write(again)
            time.sleep(pause)

    return write


def _asked(write, value=None, timeout=5.0):
    """The parsed answer of a server, and the error in its place."""
    with http_answers.serving(write) as server:
        with contextlib.closing(BoundedHttp(server, timeout)) as connection:
            try:
                return connection.request("POST", "/", value, limit=_LIMIT), ""
            except ServerError as error:
                assert str(error).startswith(f"{server} ")
                return None, str(error).removeprefix(f"{server} ")


_BYTES = b"x" * 2**16
_TOO_LONG = f"must answer with at most {_LIMIT + 2**16:,} bytes."


@pytest.mark.parametrize(
    ("first", "again", "message"),
    [
        (_HEAD + b"\r\n", _BYTES, _TOO_LONG),
        (_HEAD + b"Content-Length: 9999999999999999\r\n\r\n", _BYTES, _TOO_LONG),
        (_HEAD + b"Content-Length: %s\r\n\r\n" % (b"9" * 5000), _BYTES, _TOO_LONG),
        (_HEAD + b"Content-Length: -1\r\n\r\n", _BYTES, _TOO_LONG),
        (_CHUNKED + b"fffffffffffffff\r\n", _BYTES, _TOO_LONG),
        (_CHUNKED + b"%s\r\n" % (b"f" * 60_000), _BYTES, _TOO_LONG),
        (_CHUNKED, b"1\r\nx\r\n" * 99, _TOO_LONG),
        (_CHUNKED + b"-1\r\n", _BYTES, _TOO_LONG),
        (_CHUNKED + b"-5\r\n", _BYTES, "did not answer: ValueError("),
        (_CHUNKED + b"many\r\n", b"x", "did not answer: "),
        (_CHUNKED, _BYTES, "did not answer: "),
        (_CHUNKED + b"0\r\n", b"A: b\r\n" * 1000, _TOO_LONG),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99, _TOO_LONG),
        (b"", _BYTES, "did not answer: LineTooLong("),
        (
            _HEAD,
            b"A: b\r\n",
            "did not answer: HTTPException('got more than 100",
        ),
        (_HEAD + b"A: ", _BYTES, "did not answer: LineTooLong("),
    ],
    ids=lambda value: "",
)
def test_endless_answer_takes_little_memory(first, again, message):
    tracemalloc.start()
    try:
        assert _asked(_writes(first, again))[1].startswith(message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"x"),
        (_HEAD, b"\x41"),
        (_HEAD + b"\r\n", b"x"),
        (_HEAD + b"Content-Length: 1000\r\n\r\n", b"x"),
        (_CHUNKED, b"1\r\nx\r\n"),
        (_CHUNKED + b"ff", b"f"),
        (_CHUNKED + b"0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=lambda value: "",
)
def test_time_is_that_of_the_whole_answer(first, again):
    begun = time.monotonic()
    _, message = _asked(_writes(first, again, pause=0.05), timeout=0.3)
    assert message == "did not answer: TimeoutError('timed out')."
    assert time.monotonic() - begun < 2


def test_server_that_does_not_read_is_a_timeout():
    begun = time.monotonic()
    _, message = _asked(lambda _: time.sleep(0.6), "x" * 2**25, timeout=0.3)
    assert message == "did not answer: TimeoutError('timed out')."
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"[" * 30_000 + b"]" * 30_000,
        b"1" * 5000,
        b"[-1" + b"0" * 5000 + b"]",
        b"1e" + b"9" * 5000,
        b"\xff\xfe" * 99,
        b"",
    ],
    ids=lambda body: "",
)
@pytest.mark.parametrize("status", ["200 OK", "500 Oh"])
def test_wild_json_is_one_line(body, status):
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body))
    _, message = _asked(_writes(head + body))
    expected = "must answer in JSON." if status == "200 OK" else "answered 500 Oh: "
    assert message.startswith(expected)
    assert len(message) < 600 and "\n" not in message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 500 \x1b[2J%s\r\n\r\n" % (b"a" * 9999), "answered 500 [2Jaaa"),
        (
            b'HTTP/1.1 400 No\r\n\r\n{"error": "a\\n\\u001b[1mb"}',
            "answered 400 No: a [",
        ),
        (
            b'HTTP/1.1 400 No\r\n\r\n{"error": [[["a"]]]}',
            'answered 400 No: {"error"',
        ),
        (b"\x1b]0;a" * 9999 + b"\r\n", "did not answer: BadStatusLine('\\x1b"),
    ],
)
def test_terminals_get_one_printable_line(answer, message):
    _, received = _asked(_writes(answer))
    assert received.startswith(message)
    assert received.isprintable() and len(received) < 1200


@pytest.mark.parametrize(
    "answer",
    [
        http_answers.ok(b'{"a": [1]}'),
        _HEAD + b'\r\n{"a": [1]}',
        _CHUNKED + b'4\r\n{"a"\r\n6;x=y\r\n: [1]}\r\n0\r\nA: b\r\n\r\n',
        b"HTTP/1.1 100 Continue\r\n\r\n" + http_answers.ok(b'{"a": [1]}'),
    ],
)
def test_every_way_to_send_an_answer_is_read(answer):
    assert _asked(_writes(answer)) == ({"a": [1]}, "")


def test_answer_of_the_allowed_length_is_read():
    body = b'"%s"' % (b"a" * (_LIMIT - 2))
    assert _asked(_writes(http_answers.ok(body)))[0] == "a" * (_LIMIT - 2)
