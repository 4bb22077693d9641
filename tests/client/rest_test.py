"""Answers that no model server should give."""

import http.server
import threading

import pytest

from tf_student.client import rest
from tf_student.client.config import ClientConfig
from tf_student.errors import ServerError


@pytest.fixture
def answering(request):
    """A connection to a server that gives `request.param` and no more."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.wfile.write(request.param)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        connection = rest.Connection(ClientConfig(server=address, timeout=5.0))
        yield connection
        connection.close()
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
        (_ok(b"<html>Welcome</html>"), "not JSON: <html>Welcome</html>"),
        (_ok(b'{"outputs": ["\x89PNG"]}'), "not JSON"),
        (_ok(b"[1, 2]"), "without `outputs` of PNGs"),
        (_ok(b'{"predictions": []}'), "without `outputs` of PNGs"),
        (_ok(b'{"outputs": [[1, 2]]}'), "without `outputs` of PNGs"),
        (_ok(b'{"outputs": [{"b64": "?"}]}'), "without `outputs` of PNGs"),
        (_ok(b'{"outputs": ["iVBORw0KGgo="]}'), "without `outputs` of PNGs"),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n<b>no\nback end</b>",
            "502 Bad Gateway: <b>no back",
        ),
        (b'HTTP/1.1 400 Bad Request\r\n\r\n{"error": "a\\nb"}', "400 Bad Request: a b"),
    ],
    indirect=["answering"],
)
def test_strange_answer_is_one_line(answering, message):
    with pytest.raises(ServerError) as raised:
        answering.png(0, 1)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
