import json

import pytest

from tests.client import http_answers
from tf_student.client import model_status
from tf_student.runtime.errors import ServerError


def _entry(version, state, code="OK", message=""):
    status = {"error_code": code, "error_message": message}
    return {"version": version, "state": state, "status": status}


def _asked(value):
    paths = []

    def write(handler):
        paths.append(handler.path)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.wfile.write(http_answers.ok(body))

    with http_answers.serving(write) as server:
        try:
            return model_status.version_states(server, "digits", timeout=5)
        finally:
            assert paths == ["/v1/models/digits"]


def test_states_by_version():
    entries = [
        _entry("3", "LOADING"),
        _entry("2", "AVAILABLE"),
        _entry("1", "END"),
        _entry("4", "END", "INVALID_ARGUMENT", "no\n\x1b[1msuch op"),
    ]
    assert _asked({"model_version_status": entries}) == {
        3: "LOADING",
        2: "AVAILABLE",
        1: "END",
        4: "END: no [1msuch op",
    }


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"model_version_status": 3},
        {"model_version_status": [3]},
        {"model_version_status": [{"version": "2"}]},
        {"model_version_status": [_entry(2, "AVAILABLE")]},
        {"model_version_status": [_entry("-2", "AVAILABLE")]},
        {"model_version_status": [_entry("9" * 5000, "AVAILABLE")]},
        {"model_version_status": [{**_entry("2", "END"), "status": "OK"}]},
    ],
    ids=lambda value: "",
)
def test_other_answers_are_refused(value):
    with pytest.raises(ServerError, match=r"must answer (with the states|in JSON)"):
        _asked(value)


def test_long_answer_is_refused():
    with pytest.raises(ServerError, match="must answer with at most"):
        _asked(b" " * 2**21)
