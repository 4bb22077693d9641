"""Random requests: all get an answer, and only valid ones reach a model."""

import collections
import socket
import threading

import pytest

from tests.gallery import random_requests
from tests.gallery.fake_model import FakeModel
from tf_student.gallery import app, server

# The number of seeds and counts of a call, and the least count.
_PARTS = {"sample": (2, 1), "interpolate": (3, 2)}
_MODELS = {"student": FakeModel(classes=3), "teacher": FakeModel()}


@pytest.fixture(scope="module")
def port():
    """The port of a server in a thread, for local requests and at most 8 images."""
    page = app.make_app(_MODELS, hosts=["localhost"], max_images=8)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = server.make_server(page, listening, seconds=1)
        threading.Thread(target=running.run, daemon=True).start()
        yield listening.getsockname()[1]
        running.close()


def _calls():
    """The calls of the models since the last one."""
    calls = [call for model in _MODELS.values() for call in model.calls]
    for model in _MODELS.values():
        model.calls.clear()
    return calls


def test_every_request_has_an_answer(port):
    statuses, reached = collections.Counter(), set()

    def then(request, status):
        statuses[status] += 1
        for call, *numbers in _calls():
            assert status == 200, request
            names, least = _PARTS[call]
            *seeds, count = numbers[:names]
            assert all(0 <= seed < 2**63 for seed in seeds)
            assert least <= count <= 8
            # Of a model with classes, the last number is the label.
            assert all(-1 <= label < 3 for label in numbers[names:])
            reached.add(call)

    random_requests.send(port, 0, 400, then)
    # Otherwise little of the page would have been tried.
    assert {200, 400, 403, 404, 405} <= set(statuses), statuses
    assert reached == {"sample", "interpolate"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "Request"),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "Request"),
        (b"HTTP/1.1 501 Not Implemented\r\n\r\n", "Request"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nTraceback (most", "Traceback"),
        (b"HTTP/1.1 200 OK\r\n\r\n/lib/site-packages/flask", "site-packages"),
        (
            b'HTTP/1.1 404 a\r\nContent-Type: application/json\r\n\r\n{"a": 1}',
            "Request",
        ),
    ],
)
def test_a_wrong_answer_is_a_fault(answer, fault):
    request = random_requests.Request("GET", "/", [("Host", "localhost")], "1.1", b"")
    with pytest.raises(AssertionError, match=fault):
        random_requests.check(request, answer)
