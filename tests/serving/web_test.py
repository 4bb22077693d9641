import dataclasses
import hashlib
import json
import os
import re
import runpy
from pathlib import Path

import pytest

from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.serving import graph_model, web
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

_PAGE = Path(web.__file__).parent / "page"
_RUNTIME = _PAGE / "tensorflowjs"
_UPDATE = Path(__file__).parents[2] / "third_party" / "tensorflowjs" / "update.py"


def _student(noise):
    """As good as a network for what is not about its graph."""
    return 0.5 * noise


def _files(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def page(model, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("web"))
    web.fill(_student, model.about)(folder)
    return folder


def test_page_is_complete(page):
    expected = {str(path.relative_to(_PAGE)) for path in _PAGE.rglob("*.*")}
    weights = {"model.json", "weights1of1.bin", "tensorflowjs/LICENSE"}
    assert {"index.html", "student.js", "tensorflowjs/files.json"} < expected
    assert set(_files(page)) == expected | weights


def test_page_replaces_an_older_one(tmp_path):
    (tmp_path / "page.js").write_text("older")
    (tmp_path / "model.json").write_text("kept")
    web.copy_page(str(tmp_path))
    assert (tmp_path / "page.js").read_text() == (_PAGE / "page.js").read_text()
    assert (tmp_path / "model.json").read_text() == "kept"


def test_page_without_weights_is_small(page):
    sizes = _files(page)
    assert sum(s for n, s in sizes.items() if "/" in n) < 1.5 * 2**20


def test_page_names_no_server():
    for path in _PAGE.glob("*.*"):
        assert not re.search("https?:", path.read_text()), path


def test_model_says_what_it_is(page, model):
    about = json.loads(Path(page, "model.json").read_text())["userDefinedMetadata"]
    expected = dataclasses.asdict(model.about)
    assert about == {**expected, "image_shape": list(model.about.image_shape)}


def test_runtime_is_that_of_the_npm_packages():
    update = runpy.run_path(str(_UPDATE))
    listed = json.loads((_RUNTIME / "files.json").read_text())
    assert {e["package"]: list(e["sha256"]) for e in listed} == update["PACKAGES"]
    assert {(e["version"], e["license"]) for e in listed} == {
        (update["VERSION"], "Apache-2.0")
    }
    digests = {
        name: digest for entry in listed for name, digest in entry["sha256"].items()
    }
    assert digests == {
        name: hashlib.sha256((_RUNTIME / name).read_bytes()).hexdigest()
        for name in digests
    }
    assert set(digests) | {"LICENSE", "files.json"} == {
        path.name for path in _RUNTIME.iterdir()
    }


def _export(student, folder, **options):
    config = ExportConfig(format=("web",), **options)
    return export(student, str(folder), config=config, preset="digits")


@pytest.fixture
def quick(monkeypatch):
    """Makes the page's graph one of a single operation."""
    write = graph_model.write

    def write_one(directory, function, signature, *arguments, **options):
        write(directory, _student, signature, *arguments, **options)

    monkeypatch.setattr(graph_model, "write", write_one)


def test_every_export_is_a_version(model, tmp_path, quick):
    for number in ("1", "2"):
        exported = _export(model.student, tmp_path, dtype="float16")
        assert exported.directory == str(tmp_path / "web" / number)
        assert exported.files == {"web": exported.directory}
        assert (tmp_path / "web" / number / "index.html").exists()
    assert sorted(os.listdir(tmp_path / "web")) == ["1", "2"]
    assert os.listdir(tmp_path) == ["web"]


def test_failure_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(graph_model, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        _export(model.student, tmp_path / "base")
    assert _files(tmp_path) == {}


def test_half_written_page_is_removed_by_the_next_export(model, tmp_path, quick):
    (tmp_path / "web" / "1.tmp-0123abcd").mkdir(parents=True)
    _export(model.student, tmp_path)
    assert os.listdir(tmp_path / "web") == ["1"]


def test_teacher_is_refused(model, tmp_path):
    teacher = Teacher(model.student.unet)
    with pytest.raises(InputError, match=r"`network` must be a student for web"):
        _export(teacher, tmp_path / "base")
    assert _files(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (8, 8, 4)}, "`channels` must be 1 or 3 for web.*channels=4"),
        (
            {"parameters": 10**8},
            "at most 268,435,456 bytes .* Received: 400,000,000 bytes, dtype=float32",
        ),
        (
            {"parameters": 2 * 10**8, "dtype": "int8"},
            "at most 134,217,728 parameters for web. Received: 200,000,000.",
        ),
    ],
)
def test_what_a_page_cannot_hold_is_refused(model, change, message):
    about = dataclasses.replace(model.about, **change)
    with pytest.raises(InputError, match=message):
        web.fill(_student, about)


def test_half_of_the_bytes_may_be_of_more_weights(model):
    about = dataclasses.replace(model.about, parameters=10**8, dtype="float16")
    web.fill(_student, about)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "bfloat16"}, "must be one of: float32, float16, int8 for web"),
        ({"ops": "fused"}, "`ops` must be stock for web"),
        ({"batch": 4}, "`batch` must be 0"),
    ],
)
def test_options_that_a_page_lacks_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ExportConfig(format=("web",), **options)
