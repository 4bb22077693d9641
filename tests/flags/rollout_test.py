"""The command `rollout`, with a server that polls files and answers over HTTP."""

import json
import threading
import typing

import pytest

from tests.client import http_answers
from tests.flags.commands import fork
from tests.serving.polling_server import PollingServer
from tf_student.serving import metadata, versions
from tf_student.serving.model_list import ModelList


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work" / "export").mkdir(parents=True)
    return tmp_path / "work"


def _export(work, number):
    """Writes a version and the settings, as `export` does."""
    base = work / "export"
    (base / str(number)).mkdir()
    (base / str(number) / "saved_model.pb").touch()
    hints = typing.get_type_hints(metadata.Metadata)
    fields = {k: kind() for k, kind in hints.items()}
    fields |= {"name": "digits", "image_shape": (8, 8, 1), "max_count": 16}
    metadata.write(str(base / str(number)), metadata.Metadata(**fields))
    versions.write_settings(str(base), "digits", 16)


@pytest.fixture
def model_server(work):
    """A server that takes a question's time to poll, and another one's to load."""
    server, lock = PollingServer(), threading.Lock()

    def answer(handler):
        assert handler.path == "/v1/models/digits"
        with lock:
            states = {
                **dict.fromkeys(server.loading, "LOADING"),
                **dict.fromkeys(server.available, "AVAILABLE"),
            }
            entries = [{"version": str(v), "state": s} for v, s in states.items()]
            body = json.dumps({"model_version_status": entries}).encode()
            server.load()
            server.poll((work / "export" / "models.config").read_text())
        handler.wfile.write(http_answers.ok(body))

    with http_answers.serving(answer) as server.address:
        yield server


def test_three_versions_are_rolled_out(work, model_server):
    where = (f"--work_dir={work}", f"--server={model_server.address}")
    _export(work, 1)
    model_server.poll((work / "export" / "models.config").read_text())
    model_server.load()
    assert model_server.labels == {"stable": 1}
    labels = {2: {"stable": 1, "canary": 2}, 3: {"stable": 2, "canary": 3}}
    for number in (2, 3):
        _export(work, number)
        finished = fork("rollout", *where)
        assert (finished.code, finished.err) == (0, "")
        listed = versions.read_list(str(work / "export"))
        assert listed == ModelList((number - 1, number), labels[number])
    assert finished.out == (
        "The labels have moved: stable is version 2, canary is version 3.\n"
        "The server unloads version 1.\n"
    )
    model_server.poll((work / "export" / "models.config").read_text())
    assert (model_server.labels, model_server.available) == (labels[3], {2, 3})
    assert model_server.refused == 0


def test_late_server_is_one_line_and_changes_nothing(work, model_server):
    _export(work, 1)
    _export(work, 2)
    before = (work / "export" / "models.config").read_text()
    where = (f"--work_dir={work}", f"--server={model_server.address}")
    finished = fork("rollout", *where, "--timeout=0.2")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith(
        "tf-student rollout: A server must have loaded version 1 of digits within 0.2"
    )
    assert finished.err.count("\n") == 1
    assert (work / "export" / "models.config").read_text() == before


def test_without_a_server(work):
    _export(work, 1)
    _export(work, 2)
    finished = fork("rollout", f"--work_dir={work}", "--no_wait")
    assert (finished.code, finished.err) == (0, "")
    labels = versions.read_list(str(work / "export")).labels
    assert labels == {"stable": 1, "canary": 2}
