"""Answers that a model server should not send."""

import contextlib

import pytest

from tests.client import http_answers
from tests.client.http_answers import ok
from tf_student.client import rest
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import ServerError


def _metadata(signatures):
    text = b'{"metadata": {"signature_def": {"signature_def": %s}}}'
    return ok(text % signatures)


def _noise(sizes):
    return _metadata(
        b'{"serving_default": {"inputs": {"noise": {"tensor_shape": {"dim": %s}}}}}'
        % sizes
    )


_IMAGES = _noise(b'[{"size": "-1"}, {"size": "4"}, {"size": "4"}, {"size": "1"}]')


def _error(answer, metadata=_IMAGES, signature="png"):
    """The error of a client for a server that answers a request with any bytes."""

    def write(handler):
        handler.wfile.write(metadata if handler.command == "GET" else answer)

    with http_answers.serving(write) as server:
        config = ClientConfig(server, count=2, timeout=5.0, signature=signature)
        with pytest.raises(ServerError) as raised:
            with contextlib.closing(rest.Connection(config)) as connection:
                connection.png(0, 2)
    assert str(raised.value).startswith(f"{server} ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "did not answer"),
        (b"220 mail.example.org ESMTP\r\n", "did not answer"),
        (ok(b"{}")[:-1], "did not answer: IncompleteRead"),
        (ok(b"<html>Welcome</html>"), "in JSON. Received: <html>Welcome</html>"),
        (ok(b'{"outputs": ["\x89PNG"]}'), "must answer in JSON"),
        (ok(b"[1, 2]"), "must return PNGs as `outputs`"),
        (ok(b'{"predictions": []}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": [[1, 2]]}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": [{"b64": "?"}]}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": [{"b64": "\xc3\xa9"}]}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": ["iVBORw0KGgo="]}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": {"b64": "iVBORw0KGgo="}}'), "must return PNGs as `outputs`"),
        (ok(b'{"outputs": [{"b64": "iVBORw0KGgo="}]}'), "must return 2 images. Rec"),
        (
            ok(b'{"outputs": [{"b64": "R0lG"}, {"b64": "R0lG"}]}'),
            "PNG files of 4 t",
        ),
        (ok(b"[%s]" % (b" " * 2**20)), "must answer with at most 213,152 bytes."),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n<b>no\nback end</b>",
            "502 Bad Gateway: <b>no back",
        ),
        (b'HTTP/1.1 400 Bad Request\r\n\r\n{"error": "a\\nb"}', "400 Bad Request: a b"),
    ],
    ids=lambda value: "",
)
def test_unexpected_answer_is_one_line(answer, message):
    assert message in _error(answer)


_MISSING = "must have the signature `serving_default` with the input `noise`."
_OTHER = "must take noise [n, height, width, channels] in `serving_default`."


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (ok(b"[1, 2]"), _MISSING),
        (_metadata(b"{}"), _MISSING),
        (_metadata(b'{"serving_default": {"inputs": {"noise": 3}}}'), _MISSING),
        (_noise(b'{"size": 3}'), _MISSING),
        (_noise(b"[1, 2, 3, 4]"), _MISSING),
        (_noise(b'[{"size": "-1"}, {"size": "8"}]'), _OTHER),
        (_noise(b'[{"size": Infinity}, {"size": NaN}, {"size": 1e99}, {}]'), _MISSING),
        (_noise(b"[%s]" % b",".join([b'{"size": Infinity}'] * 4)), _OTHER),
        (_noise(b"[%s]" % b",".join([b'{"size": "%s"}' % (b"9" * 90)] * 4)), _OTHER),
        (_noise(b"[%s]" % b",".join([b'{"size": %s}' % (b"9" * 9999)] * 4)), "in JSON"),
        (_noise(b"[%s]" % b",".join([b'{"size": 1}'] * 20_000)), _OTHER),
        (
            _noise(b'[{"size": -1}, {"size": 9999}, {"size": 9999}, {"size": 4}]'),
            "must have at most 16,777,216 numbers. Received: count=2, images [99",
        ),
        (ok(b" " * 2**21), "must answer with at most 1,114,112 bytes."),
        (ok(b"[" * 10**5), "must answer in JSON."),
    ],
    ids=lambda value: "",
)
@pytest.mark.parametrize("signature", ["png", "serving_default"])
def test_unexpected_metadata_are_one_line(metadata, message, signature):
    text = _error(b"", metadata, signature)
    assert message in text and len(text) < 700


@pytest.mark.parametrize(
    "answer",
    [
        ok(b'{"outputs": %s}' % values)
        for values in (
            b"[[1, 2], [3]]",
            b"[0.5]",
            b"null",
            b"[" * 900 + b"]" * 900,
            b'["a", "%s"]' % (b"b" * 9999),
        )
    ],
    ids=lambda value: "",
)
def test_unexpected_images_are_one_line(answer):
    text = _error(answer, signature="serving_default")
    assert "must return images [2, 4, 4, 1] of integers from 0 to 255." in text
