import json
import os

import numpy as np
import pytest

from tests.serving import portable_models
from tests.serving.conftest import make_model
from tests.serving.portable_models import NETWORK, SHAPE
from tf_student.data import images
from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import onnx, portable, portable_verification

pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def _open(content):
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _noise(count, shape=SHAPE):
    values = np.random.default_rng(0).standard_normal((count, *shape))
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def scaled():
    return onnx.convert(portable_models.scaled(), portable_models.layout())


def test_images_are_those_of_the_network():
    network = make_model(NETWORK)
    content = onnx.convert(network.served, portable.Layout(network.about, 0))
    noise = _noise(3, NETWORK.image_shape)
    expected = images.to_uint8(network.student(noise)).numpy().astype(int)
    (drawn,) = _open(content).run(["images"], {"noise": noise})
    assert drawn.dtype == np.uint8 and expected.std() > 10
    assert np.abs(drawn - expected).max() <= 1
    assert len(content) > 4 * network.about.parameters


@pytest.fixture(scope="module")
def contents():
    """The files of a few convolutions by dtype."""

    def content(dtype):
        layout = portable_models.layout(dtype=dtype)
        return onnx.convert(portable_models.convolved(), layout)

    return {dtype: content(dtype) for dtype in ("float32", "float16", "int8")}


@pytest.mark.parametrize(
    ("dtype", "largest", "size"),
    [("float32", 1, 1.0), ("float16", 2, 0.53), ("int8", 12, 0.3)],
)
def test_types_of_the_weights_draw_the_images(contents, dtype, largest, size):
    noise = _noise(4)
    expected = images.to_uint8(portable_models.convolved().generate(noise))
    (drawn,) = _open(contents[dtype]).run(["images"], {"noise": noise})
    assert np.abs(drawn - expected.numpy().astype(int)).max() <= largest
    assert len(contents[dtype]) <= size * len(contents["float32"])
    assert portable_models.described(onnx.metadata(contents[dtype])).dtype == dtype


@pytest.mark.parametrize("count", [1, 3])
def test_batch_is_free(scaled, count):
    noise = _noise(count)
    expected = np.round(np.clip((0.5 * noise + 1) * 127.5, 0, 255))
    (drawn,) = _open(scaled).run(None, {"noise": noise})
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(("batch", "expected"), [(0, "batch"), (2, 2)])
def test_shapes_and_opset_are_stated(scaled, batch, expected):
    content = scaled
    if batch:
        layout = portable_models.layout(batch)
        content = onnx.convert(portable_models.scaled(), layout)
    session = _open(content)
    for value in [*session.get_inputs(), *session.get_outputs()]:
        assert value.shape == [expected, *SHAPE]
    import onnx as reader

    model = reader.load_from_string(content)
    reader.checker.check_model(model)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [18]
    assert {node.domain for node in model.graph.node} == {""}


def test_classes_are_an_input():
    layout = portable_models.layout(classes=portable_models.CLASSES)
    session = _open(onnx.convert(portable_models.labelled(), layout))
    labels = np.array([0, 4, 2], np.int32)
    (drawn,) = session.run(["images"], {"noise": _noise(3), "labels": labels})
    assert drawn[:, 0, 0, 0].tolist() == [0, 255, 128]


def test_metadata_are_inside(scaled):
    (text,) = _open(scaled).get_modelmeta().custom_metadata_map.values()
    assert text == onnx.metadata(scaled)
    assert portable_models.described(text) == portable_models.ABOUT
    values = json.loads(text)
    assert (values["format"], values["opset"], values["batch"]) == ("onnx", 18, 0)


def test_operation_that_the_format_lacks_is_named():
    with pytest.raises(InputError, match=r"format=onnx: .*Betainc"):
        onnx.convert(portable_models.unusual(), portable_models.layout())


def test_file_is_verified_without_this_package(scaled, tmp_path):
    path, layout = str(tmp_path / "tiny.onnx"), portable_models.layout()
    with open(path, "wb") as file:
        file.write(scaled)

    def verify(model):
        return portable_verification.verify(path, "onnx", layout, model.generate)

    assert verify(portable_models.scaled()).loaders == ("ONNX Runtime",)
    with pytest.raises(VerificationError, match="loaded by ONNX Runtime, must draw"):
        verify(portable_models.scaled(0.6))
    os.truncate(path, 20)
    with pytest.raises(VerificationError, match="failed in a process without this"):
        verify(portable_models.scaled())
