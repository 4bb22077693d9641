import dataclasses
import os

import pytest

from tests.serving.portable_models import ABOUT
from tf_student.runtime.errors import InputError
from tf_student.serving import metadata, version_writer, versions


def _saved_model(directory):
    metadata.write(directory, ABOUT)
    with open(os.path.join(directory, "saved_model.pb"), "w") as file:
        file.write("graph")


def _file(name):
    def fill(directory):
        with open(os.path.join(directory, name), "w") as file:
            file.write("model")

    return fill


LITERT = {"litert": _file("tiny.tflite")}
ALL = {"saved_model": _saved_model, **LITERT, "onnx": _file("tiny.onnx")}


@pytest.fixture
def base(tmp_path):
    return str(tmp_path / "base")


def _files(base):
    return sorted(
        os.path.relpath(os.path.join(folder, name), base)
        for folder, _, names in os.walk(base)
        for name in names
    )


def test_formats_have_folders_beside_the_versions_of_a_server(base):
    written = version_writer.write(base, ABOUT, ALL)
    assert {k: os.path.relpath(v, base) for k, v in written.items()} == {
        "saved_model": "1",
        "litert": "litert/1",
        "onnx": "onnx/1",
    }
    assert _files(base) == [
        "1/assets.extra/metadata.json",
        "1/saved_model.pb",
        "batching.config",
        "litert/1/tiny.tflite",
        "models.config",
        "onnx/1/tiny.onnx",
    ]
    assert versions.numbers(base) == [1]


def test_other_formats_do_not_change_what_a_server_reads(base, contents):
    version_writer.write(base, ABOUT, {"saved_model": _saved_model})
    before = contents(base)
    version_writer.write(base, ABOUT, LITERT)
    version_writer.write(base, ABOUT, LITERT)
    assert before.items() <= contents(base).items()
    assert sorted(os.listdir(f"{base}/litert")) == ["1", "2"]
    assert not os.path.exists(f"{base}/litert/models.config")


def test_common_version_is_above_those_of_all_its_formats(base):
    for _ in range(2):
        version_writer.write(base, ABOUT, LITERT)
    written = version_writer.write(base, ABOUT, ALL)
    assert {os.path.basename(path) for path in written.values()} == {"3"}
    with pytest.raises(
        InputError, match=r"must not exist yet in .*/litert. .*version=2"
    ):
        version_writer.write(base, ABOUT, ALL, 2)


def test_nothing_appears_unless_all_formats_are_whole(base):
    def fail(directory):
        assert os.path.isdir(directory)
        raise RuntimeError("no such operation")

    with pytest.raises(RuntimeError, match="no such operation"):
        version_writer.write(base, ABOUT, {**ALL, "onnx": fail})
    assert os.listdir(base) == []


def test_leftovers_are_removed_in_every_format(base):
    for name in ("litert/1.tmp-0123abcd", "onnx/2.tmp-0123abcd", "litert/mine.tmp-0"):
        os.makedirs(os.path.join(base, name))
    version_writer.write(base, ABOUT, LITERT)
    assert os.listdir(f"{base}/onnx") == []
    assert sorted(os.listdir(f"{base}/litert")) == ["1", "mine.tmp-0"]


def test_another_model_is_refused(base, contents):
    version_writer.write(base, ABOUT, LITERT)
    before = contents(base)
    other = dataclasses.replace(ABOUT, name="other")
    for fills in (LITERT, {"saved_model": _saved_model}):
        with pytest.raises(InputError, match="name=tiny, received: name=other"):
            version_writer.write(base, other, fills)
    assert contents(base) == before
