"""The scripts in `examples/` run, in short."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tf_student as ts
from tests.tiny_run import TINY
from tf_student.presets import systems

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str):
    return runpy.run_path(str(EXAMPLES / name))["main"]


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """The examples use the smallest system in place of `digits`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(systems.PRESETS, "digits", TINY)
        yield


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    directory = tmp_path_factory.mktemp("quickstart")
    example("quickstart.py")(str(directory), steps=52, count=256)
    return directory


def picture(path) -> np.ndarray:
    return tf.io.decode_png(tf.io.read_file(str(path))).numpy()


def test_examples_are_short():
    lines = {p.name: len(p.read_text().splitlines()) for p in EXAMPLES.glob("*.py")}
    assert lines.pop("quickstart.py") < 60
    assert max(lines.values()) < 100


def test_quickstart_leaves_a_picture_and_a_student(quickstart):
    assert picture(quickstart / "samples.png").std() > 0
    student = ts.Student.load(str(quickstart / "student"))
    assert student.generate(2).shape == (2, 8, 8, 1)


def test_fit_leaves_a_model_for_keras_and_a_run(quickstart):
    example("fit.py")(str(quickstart), epochs=1)
    assert (quickstart / "fitted.keras").exists()
    assert ts.RunDirectory.open(str(quickstart / "fitted")).network == "student"
    assert picture(quickstart / "fitted_samples" / "samples.png").std() > 0


def test_serve_leaves_a_model_and_a_picture(quickstart):
    example("serve.py")(str(quickstart))
    assert (quickstart / "export" / "1" / "saved_model.pb").exists()
    assert picture(quickstart / "served.png").shape[1] == 16 * 8 * 8
