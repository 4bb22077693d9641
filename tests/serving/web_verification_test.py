import dataclasses
import os

import pytest

from tests.networks import TINY
from tests.serving import portable_models
from tests.serving.conftest import make_model
from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import web, web_runtime, web_verification
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig
from tf_student.serving.verification import Verification

ABOUT = portable_models.ABOUT


def _named(monkeypatch, name):
    """Makes a program the one that draws; skips without it."""
    which = web_runtime.shutil.which
    if which(name) is None:
        pytest.skip(f"needs {name}")
    monkeypatch.setattr(
        web_runtime.shutil, "which", lambda n: which(n) if n == name else None
    )


def _page(folder, about=ABOUT, draw=lambda noise: 0.5 * noise):
    web.fill(draw, about)(str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """A page of a student with classes, the student, and what it is."""
    model = make_model(dataclasses.replace(TINY, classes=4))
    about = dataclasses.replace(model.about, classes=4)
    page = _page(tmp_path_factory.mktemp("page"), about, model.student)
    return page, model.student, about


@pytest.mark.parametrize(
    ("name", "loader"), [("node", "Node.js"), ("chromium", "Chromium")]
)
def test_page_of_a_student_with_classes_is_verified(monkeypatch, classes, name, loader):
    _named(monkeypatch, name)
    result = web_verification.verify(*classes)
    assert result.loaders == (f"WebAssembly in {loader}",)
    assert result.distance <= 1e-4


def test_grey_images_of_another_network_are_told_apart(tmp_path, monkeypatch):
    _named(monkeypatch, "node")
    about = dataclasses.replace(ABOUT, image_shape=(4, 2, 1))
    page = _page(tmp_path, about)
    assert web_verification.verify(page, lambda z: 0.5 * z, about).distance <= 1e-4
    message = r"index.html, loaded by Node.js, must draw .* at most 1e-04"
    with pytest.raises(VerificationError, match=message):
        web_verification.verify(page, lambda z: 0.51 * z, about)


@pytest.mark.parametrize(
    ("side", "count"), [(8, 16), (32, 16), (64, 4), (128, 1), (256, 1)]
)
def test_fewer_images_are_drawn_of_many_pixels(monkeypatch, tmp_path, side, count):
    drawn = []

    def draw(program, folder, seed, count):
        drawn.append(count)
        raise RuntimeError("enough")

    monkeypatch.setattr(web_runtime, "find", lambda: "node")
    monkeypatch.setattr(web_runtime, "draw", draw)
    about = dataclasses.replace(ABOUT, image_shape=(side, side, 3))
    with pytest.raises(VerificationError, match="enough"):
        web_verification.verify(str(tmp_path), lambda z: 0.5 * z, about)
    assert drawn == [count]


@pytest.mark.parametrize("name", ["node", "chromium"])
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("weights1of1.bin", "weights1of1.bin: status 404"),
        ("tensorflowjs/tf-core.es2017.min.js", "core.es2017.min.js: status 404"),
    ],
)
def test_page_that_fails_is_refused(tmp_path, monkeypatch, name, missing, message):
    _named(monkeypatch, name)
    page = _page(tmp_path)
    os.remove(os.path.join(page, missing))
    with pytest.raises(VerificationError, match=message) as error:
        web_verification.verify(page, lambda z: 0.5 * z, ABOUT)
    assert len(str(error.value)) < 3000


def test_an_old_node_is_not_used(tmp_path, monkeypatch):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v16.20.2\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert web_runtime.find() is None
    node.write_text("#!/bin/sh\necho v18.0.0\n")
    assert web_runtime.find() == str(node)


def test_a_program_that_ends_without_images_is_an_error(tmp_path, monkeypatch):
    page = _page(tmp_path / "page")
    for name in ("node", "chromium"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
        program.chmod(0o755)
        with pytest.raises(RuntimeError, match=f"The page failed in .*{name}"):
            web_runtime.draw(str(program), page, 0, 1)


def test_without_a_program_nothing_is_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(web_runtime, "find", lambda: None)
    base, config = tmp_path / "base", ExportConfig(format=("web",), verify=True)
    with pytest.raises(InputError, match=r"`verify` needs Node.js 18 or newer, or Chr"):
        export(model.student, str(base), config=config)
    assert not base.exists()


def test_export_has_the_result(model, tmp_path, monkeypatch):
    monkeypatch.setattr(web_runtime, "find", lambda: "node")
    monkeypatch.setattr(web.graph_model, "write", lambda *a, **k: None)
    expected = Verification(("here",), 0.25)
    monkeypatch.setattr(web_verification, "verify", lambda *arguments: expected)
    config = ExportConfig(format=("web",), verify=True)
    exported = export(model.student, str(tmp_path), config=config)
    assert exported.verifications == {"web": expected}
    assert exported.verification is None


def test_failed_verification_leaves_no_page(model, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise VerificationError("other images")

    monkeypatch.setattr(web_runtime, "find", lambda: "node")
    monkeypatch.setattr(web.graph_model, "write", lambda *a, **k: None)
    monkeypatch.setattr(web_verification, "verify", refuse)
    config = ExportConfig(format=("web",), verify=True)
    with pytest.raises(VerificationError, match="other images"):
        export(model.student, str(tmp_path), config=config)
    assert list(tmp_path.iterdir()) == []
