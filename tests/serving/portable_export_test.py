import os

import pytest

from tests.serving import portable_models
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.serving import litert, portable, portable_export
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig


def _refused(network, base, message, **options):
    with pytest.raises(InputError) as error:
        export(network, base, config=ExportConfig(**options))
    assert message in str(error.value)
    assert not os.path.exists(base)


def test_export_writes_and_verifies_a_file(model, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    options = {"format": ("litert",), "dtype": "int8", "batch": 2, "verify": True}
    exported = export(model.student, str(tmp_path), config=ExportConfig(**options))
    path = str(tmp_path / "litert" / "1" / "model.tflite")
    assert exported.files == {"litert": path}
    assert exported.directory == os.path.dirname(path)
    assert exported.verifications["litert"].loaders == ("LiteRT's interpreter",)
    assert (exported.verification, exported.warm, exported.pending) == (None, False, 0)
    with open(path, "rb") as file:
        about = portable_models.described(litert.metadata(file.read()))
    assert (about.dtype, about.ops) == ("int8", "stock")
    assert about.fingerprint == model.student.unet.fingerprint()
    assert os.listdir(tmp_path) == ["litert"]


@pytest.mark.parametrize("form", ["litert", "onnx"])
def test_teacher_is_refused(model, tmp_path, form):
    teacher = Teacher(model.student.unet)
    message = f"`network` must be a student for {form}"
    _refused(teacher, str(tmp_path / "base"), message, format=("saved_model", form))


@pytest.mark.parametrize(
    ("form", "verify", "missing"),
    [
        ("litert", True, "ai_edge_litert for litert"),
        ("onnx", False, "tf2onnx and onnx for onnx"),
        ("onnx", True, "tf2onnx and onnx and onnxruntime for onnx"),
    ],
)
def test_missing_packages_are_named(
    model, tmp_path, monkeypatch, form, verify, missing
):
    monkeypatch.setattr(portable.importlib.util, "find_spec", lambda name: None)
    message = f"`format` needs {missing}: pip install 'tf-student[{form}]'."
    base = str(tmp_path / "base")
    _refused(model.student, base, message, format=(form,), verify=verify)


def test_litert_is_written_without_its_runtime(monkeypatch):
    monkeypatch.setattr(portable.importlib.util, "find_spec", lambda name: None)
    config = ExportConfig(format=("litert",))
    portable_export.check("litert", config, teacher=False)


def test_batch_has_the_limit_of_a_request(model, tmp_path):
    message = "`batch` must be at most 6, as `max_count` is. Received: batch=7."
    options = {"format": ("litert",), "batch": 7, "max_count": 6}
    _refused(model.student, str(tmp_path / "base"), message, **options)


def test_weights_that_exceed_a_file_are_refused():
    portable.check_size(portable_models.layout(parameters=520_000_000), "onnx")
    layout = portable_models.layout(parameters=600_000_000)
    with pytest.raises(
        InputError, match="`network` must have at most 520,093,696 para"
    ):
        portable.check_size(layout, "onnx")


def test_failing_conversion_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(served, layout):
        raise RuntimeError("no such operation")

    monkeypatch.setitem(portable_export._CONVERT, "litert", fail)
    config = ExportConfig(format=("litert",))
    with pytest.raises(RuntimeError, match="no such operation"):
        export(model.student, str(tmp_path), config=config)
    assert list(tmp_path.iterdir()) == []
