"""Answers that a model server should not send."""

import contextlib
import dataclasses
import http.server
import threading

import pytest

from tf_student.client import rest
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import ServerError


@pytest.fixture
def answering(request):
    """The config of a client for a server that always sends `request.param`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.wfile.write(request.param)

        do_GET = do_POST  # noqa: N815 - the library's name.

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        yield ClientConfig(server=address, timeout=5.0)
        server.shutdown()
        thread.join()


def _ok(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (b"", "did not answer"),
        (b"220 mail.example.org ESMTP\r\n", "did not answer"),
        (_ok(b"{}")[:-1], "did not answer"),
        (_ok(b"<html>Welcome</html>"), "in JSON. Received: <html>Welcome</html>"),
        (_ok(b'{"outputs": ["\x89PNG"]}'), "must answer in JSON"),
        (_ok(b"[1, 2]"), "must return PNGs as `outputs`"),
        (_ok(b'{"predictions": []}'), "must return PNGs as `outputs`"),
        (_ok(b'{"outputs": [[1, 2]]}'), "must return PNGs as `outputs`"),
        (_ok(b'{"outputs": [{"b64": "?"}]}'), "must return PNGs as `outputs`"),
        (_ok(b'{"outputs": ["iVBORw0KGgo="]}'), "must return PNGs as `outputs`"),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n<b>no\nback end</b>",
            "502 Bad Gateway: <b>no back",
        ),
        (b'HTTP/1.1 400 Bad Request\r\n\r\n{"error": "a\\nb"}', "400 Bad Request: a b"),
    ],
    indirect=["answering"],
)
def test_unexpected_answer_is_one_line(answering, message):
    connection = rest.Connection(answering)
    with contextlib.closing(connection), pytest.raises(ServerError) as raised:
        connection.png(0, 1)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def _metadata(text):
    return _ok(b'{"metadata": {"signature_def": {"signature_def": %s}}}' % text)


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (_ok(b"[1, 2]"), "`serving_default` with the input `noise`"),
        (_metadata(b"{}"), "`serving_default` with the input `noise`"),
        (
            _metadata(
                b'{"serving_default": {"inputs": {"noise": {"tensor_shape": '
                b'{"dim": [{"size": "-1"}, {"size": "8"}]}}}}}'
            ),
            "must take noise [n, height, width, channels]",
        ),
    ],
    indirect=["answering"],
)
def test_unexpected_metadata_are_one_line(answering, message):
    config = dataclasses.replace(answering, signature="serving_default")
    with pytest.raises(ServerError) as raised:
        rest.Connection(config)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "answering",
    [_ok(b'{"outputs": %s}' % v) for v in (b"[[1, 2], [3]]", b"[0.5]", b"null")],
    indirect=True,
)
def test_unexpected_images_are_one_line(answering, monkeypatch):
    monkeypatch.setattr(rest.Connection, "_read_shape", lambda self: (4, 4, 1))
    config = dataclasses.replace(answering, signature="serving_default")
    connection = rest.Connection(config)
    with contextlib.closing(connection):
        with pytest.raises(ServerError, match=r"must return images \[n, 4, 4, 1\]"):
            connection.png(0, 1)
