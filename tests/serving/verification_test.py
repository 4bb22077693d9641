import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.networks import TINY
from tf_student.runtime.errors import VerificationError
from tf_student.serving import environment, verification


def _verify(directory, generate):
    return verification.verify(directory, generate, TINY.image_shape, thorough=False)


def test_every_loader_agrees_with_the_network(program, directory, model, monkeypatch):
    monkeypatch.setattr(
        verification.native, "build", lambda path: shutil.copy(program, path)
    )
    found = verification.verify(directory, model.student, TINY.image_shape)
    assert found.loaders == (
        "tf.compat.v1.saved_model.load",
        "saved_model_cli",
        "LoadSavedModel in C++",
    )
    assert found.distance <= 1e-5
    assert "LoadSavedModel in C++ (to " in found.text()


def test_missing_compiler_is_said(directory, model, monkeypatch):
    monkeypatch.setattr(verification, "_as_stranger", lambda *a: {})
    monkeypatch.setattr(verification.native, "compiler", lambda: None)
    monkeypatch.setattr(verification, "_largest", lambda *a: 0.0)
    found = verification.verify(directory, model.student, TINY.image_shape)
    assert found.text().endswith("There is no C++ compiler for LoadSavedModel.")


def test_another_network_is_refused(directory, model, monkeypatch):
    inputs = verification._inputs(TINY.image_shape)

    def answers(*arguments):
        drawn = verification._expected(inputs, model.student, TINY.image_shape)
        rounded = {k: np.round(v).astype(np.uint8) for k, v in drawn.items()}
        return {("here", name): image for name, image in rounded.items()}

    monkeypatch.setattr(verification, "_as_stranger", answers)
    assert _verify(directory, model.student).loaders == ("here",)
    with pytest.raises(VerificationError, match=r"loaded by here, is not what the"):
        _verify(directory, lambda z: model.student(z) + 0.02)


def test_damaged_model_is_refused(directory, model, tmp_path):
    damaged = str(tmp_path / "damaged")
    shutil.copytree(directory, damaged)
    path = os.path.join(damaged, "variables", "variables.data-00000-of-00001")
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(VerificationError, match="does not stand alone"):
        _verify(damaged, model.student)


@pytest.mark.parametrize(
    ("image", "expected", "distance"),
    [
        (10, 10.0, 0.0),
        (10, 10.5, 0.0),
        (11, 10.5, 0.0),
        (11, 10.5 - 127.5e-5, 1e-5),
        (12, 10.5, 1 / 127.5),
    ],
)
def test_rounding_is_no_distance(image, expected, distance):
    found = verification._distance(
        np.array([image], np.uint8), np.array([expected], np.float64)
    )
    assert found == pytest.approx(distance, abs=1e-9)


@pytest.mark.parametrize(
    "image", [np.zeros([2, 3], np.uint8), np.zeros([2, 2], np.float32)]
)
def test_other_shapes_and_types_are_far(image):
    assert verification._distance(image, np.zeros([2, 2])) == float("inf")


def test_environment_has_tensorflow_and_not_this_package():
    with environment.without_this_package() as site:
        names = os.listdir(site)
        assert "tensorflow" in names and "numpy" in names
        assert not [name for name in names if "student" in name]
        program = f"import sys; sys.path[:0] = [{site!r}]; import google.protobuf; "
        program += "import importlib.util as u; print(u.find_spec('tf_student'))"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "None\n"
    assert not os.path.exists(site)


def test_stranger_refuses_to_run_beside_this_package(tmp_path):
    (tmp_path / "site" / "tf_student").mkdir(parents=True)
    (tmp_path / "site" / "tf_student" / "__init__.py").touch()
    request = tmp_path / "request.json"
    request.write_text(f'{{"site": "{tmp_path}/site"}}')
    with pytest.raises(RuntimeError, match="tf_student is not to be found here"):
        environment.run_isolated(str(request))


def test_tolerances_are_those_of_the_types():
    assert verification.TOLERANCE["float32"] == 1e-5
    assert set(verification.TOLERANCE) == {"float32", "bfloat16", "float16"}
    for name, epsilon in (("bfloat16", 2**-7), ("float16", 2**-10)):
        assert epsilon < verification.TOLERANCE[name] < 8 * epsilon
