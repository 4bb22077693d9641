import os
import shutil

import numpy as np
import pytest

from tests.networks import TINY
from tf_student.runtime.errors import VerificationError
from tf_student.serving import verification


def _verify(directory, generate):
    return verification.verify(directory, generate, TINY.image_shape, thorough=False)


def test_every_loader_agrees_with_the_network(program, directory, model, monkeypatch):
    monkeypatch.setattr(
        verification.native, "build", lambda path: shutil.copy(program, path)
    )
    result = verification.verify(directory, model.student, TINY.image_shape)
    assert result.loaders == (
        "tf.compat.v1.saved_model.load",
        "saved_model_cli",
        "LoadSavedModel in C++",
    )
    assert result.distance <= 1e-5 and not result.skipped
    assert "saved_model_cli, LoadSavedModel in C++ (largest diff" in result.text()


def test_missing_compiler_is_reported(directory, model, monkeypatch):
    monkeypatch.setattr(verification, "_run_isolated", lambda *a: {})
    monkeypatch.setattr(verification.native, "compiler", lambda: None)
    monkeypatch.setattr(verification, "_largest_distance", lambda *a: 0.0)
    result = verification.verify(directory, model.student, TINY.image_shape)
    assert result.skipped
    assert result.text().endswith("because no C++ compiler is installed.")


def test_another_network_is_refused(directory, model, monkeypatch):
    inputs = verification._inputs(TINY.image_shape, 0)

    def draw(*arguments):
        drawn = verification._expected(inputs, model.student, TINY.image_shape)
        rounded = {k: np.round(v).astype(np.uint8) for k, v in drawn.items()}
        return {("here", name): image for name, image in rounded.items()}

    monkeypatch.setattr(verification, "_run_isolated", draw)
    assert _verify(directory, model.student).loaders == ("here",)
    with pytest.raises(VerificationError, match=r"loaded by here, must draw the netw"):
        _verify(directory, lambda z: model.student(z) + 0.02)


def test_damaged_model_is_refused(directory, model, tmp_path):
    damaged = str(tmp_path / "damaged")
    shutil.copytree(directory, damaged)
    path = os.path.join(damaged, "variables", "variables.data-00000-of-00001")
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(VerificationError, match="failed in a process without"):
        _verify(damaged, model.student)


@pytest.mark.parametrize(
    ("image", "expected", "beyond"),
    [
        (10, 10.0, 0.0),
        (10, 10.5, 0.0),
        (11, 10.5, 0.0),
        (11, 10.5 - 127.5e-5, 1e-5),
        (12, 10.5, 1 / 127.5),
    ],
)
def test_rounding_is_no_distance(image, expected, beyond):
    distance = verification._distance(
        np.array([image], np.uint8), np.array([expected], np.float64)
    )
    assert distance == pytest.approx(beyond, abs=1e-9)


@pytest.mark.parametrize(
    "image", [np.zeros([2, 3], np.uint8), np.zeros([2, 2], np.float32)]
)
def test_other_shapes_and_types_are_far(image):
    assert verification._distance(image, np.zeros([2, 2])) == float("inf")


def test_tolerances_are_a_few_rounding_steps():
    assert verification.TOLERANCE["float32"] == 1e-5
    assert set(verification.TOLERANCE) == {"float32", "bfloat16", "float16"}
    for name, epsilon in (("bfloat16", 2**-7), ("float16", 2**-10)):
        assert epsilon < verification.TOLERANCE[name] < 8 * epsilon
