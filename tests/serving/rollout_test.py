import os
import typing

import pytest

from tf_student.runtime.errors import InputError, ServerError
from tf_student.serving import metadata, model_list, rollout, versions
from tf_student.serving.model_list import ModelList


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(rollout, "_PAUSE", 0.01)


@pytest.fixture
def export(tmp_path):
    """Adds versions to a model's directory as `export` does, and returns it."""

    def export(*numbers):
        for number in numbers:
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "saved_model.pb").touch()
            hints = typing.get_type_hints(metadata.Metadata)
            fields = {k: kind() for k, kind in hints.items()}
            fields |= {"name": "digits", "image_shape": (8, 8, 1), "max_count": 16}
            metadata.write(str(folder), metadata.Metadata(**fields))
            versions.write_settings(str(tmp_path), "digits", 16)
        return str(tmp_path)

    return export


def _server(*answers):
    """A server that gives one answer after the other, and the last one for ever."""
    asked = []

    def ask(name):
        assert name == "digits"
        asked.append(answers[min(len(asked), len(answers) - 1)])
        return asked[-1]

    return ask, asked


_LOADED = {1: "AVAILABLE", 2: "AVAILABLE", 3: "AVAILABLE"}


def test_labels_move_when_the_server_has_loaded_the_version(export):
    base = export(1, 2)
    assert versions.read_list(base) == ModelList((1, 2), {"stable": 1})
    ask, asked = _server({1: "AVAILABLE"}, {1: "AVAILABLE", 2: "LOADING"}, _LOADED)
    done = rollout.roll_out(base, [ask])
    assert done.labels == {"stable": 1, "canary": 2}
    assert (done.dropped, done.changed) == ((), True)
    assert versions.read_list(base) == ModelList((1, 2), done.labels)
    assert len(asked) >= 3


def test_oldest_version_is_dropped(export):
    base = export(1, 2)
    rollout.roll_out(base)
    export(3)
    done = rollout.roll_out(base, [_server(_LOADED)[0]])
    assert done.text() == (
        "The labels have moved: stable is version 2, canary is version 3.\n"
        "The server unloads version 1."
    )
    listed = ModelList((2, 3), {"stable": 2, "canary": 3})
    assert versions.read_list(base) == listed
    # The version itself stays, for a way back.
    assert versions.numbers(base) == [1, 2, 3]


def test_labels_wait_for_every_server(export):
    base = export(1, 2)
    late = _server({1: "AVAILABLE", 2: "LOADING"})[0]
    before = versions.read_list(base)
    with pytest.raises(ServerError) as raised:
        rollout.roll_out(base, [_server(_LOADED)[0], late], timeout=0.05)
    assert str(raised.value) == (
        "A server must have loaded version 2 of digits within 0.05 seconds (`timeout`)."
        " Received: its state is LOADING. The labels have not moved."
    )
    assert versions.read_list(base) == before


def test_failure_to_load_ends_the_wait(export):
    base = export(1, 2)
    failed = _server({1: "AVAILABLE", 2: "END: Op type not registered 'X'."})[0]
    with pytest.raises(ServerError, match=r"could not load version 2 of digits: Op ty"):
        rollout.roll_out(base, [failed])
    assert versions.read_list(base).labels == {"stable": 1}


def test_nothing_to_do(export):
    base = export(1)
    before = os.stat(os.path.join(base, "models.config")).st_mtime_ns
    done = rollout.roll_out(base, [_server(_LOADED)[0]])
    assert done.text() == "There is nothing to roll out: stable is version 1."
    assert os.stat(os.path.join(base, "models.config")).st_mtime_ns == before


def test_export_meanwhile_is_an_error(export):
    base = export(1, 2)

    def ask(name):
        if not os.path.exists(os.path.join(base, "3")):
            export(3)
        return _LOADED

    with pytest.raises(InputError, match="changed meanwhile; run the same command"):
        rollout.roll_out(base, [ask])
    assert versions.read_list(base) == ModelList((1, 2, 3), {"stable": 1})


def test_directory_without_a_model_is_refused(tmp_path):
    for text in (None, model_list.first_list([1]).text("digits")):
        if text:
            (tmp_path / "models.config").write_text(text)
        with pytest.raises(InputError, match="`export_dir` must hold versions of a"):
            rollout.roll_out(str(tmp_path))


def test_removed_version_is_named(export):
    base = export(1, 2)
    os.rename(os.path.join(base, "2"), os.path.join(base, "away"))
    with pytest.raises(InputError, match="lists version 2, which does not exist"):
        rollout.roll_out(base)
