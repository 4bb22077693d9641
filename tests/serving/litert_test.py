import json

import numpy as np
import pytest

from tests.serving import portable_models
from tests.serving.conftest import make_model
from tests.serving.portable_models import NETWORK, SHAPE
from tf_student.data import images
from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import litert, portable, portable_verification

interpreters = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="ai-edge-litert is not installed"
)


def _open(content):
    interpreter = interpreters.Interpreter(model_content=content, num_threads=1)
    return interpreter.get_signature_runner()


def _noise(count, shape=SHAPE, seed=0):
    values = np.random.default_rng(seed).standard_normal((count, *shape))
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def contents():
    """The files of a few convolutions by dtype."""

    def content(dtype):
        layout = portable_models.layout(dtype=dtype)
        return litert.convert(portable_models.convolved(), layout)

    return {dtype: content(dtype) for dtype in ("float32", "float16", "int8")}


@pytest.fixture(scope="module")
def scaled():
    return litert.convert(portable_models.scaled(), portable_models.layout())


def _assert_draws(content, model, shape, largest):
    noise = _noise(4, shape)
    expected = images.to_uint8(model.generate(noise)).numpy().astype(int)
    drawn = _open(content)(noise=noise)["images"]
    assert drawn.dtype == np.uint8 and expected.std() > 10
    assert np.abs(drawn - expected).max() <= largest


def test_images_are_those_of_the_network():
    network = make_model(NETWORK)
    layout = portable.Layout(network.about, 0)
    content = litert.convert(network.served, layout)
    _assert_draws(content, network.served, NETWORK.image_shape, 1)


@pytest.mark.parametrize(
    ("dtype", "largest"), [("float32", 1), ("float16", 2), ("int8", 12)]
)
def test_types_of_the_weights_draw_the_images(contents, dtype, largest):
    _assert_draws(contents[dtype], portable_models.convolved(), SHAPE, largest)


def test_weights_take_the_bytes_of_their_dtype(contents):
    sizes = {dtype: len(content) for dtype, content in contents.items()}
    assert sizes["float16"] < 0.55 * sizes["float32"]
    assert sizes["int8"] < 0.33 * sizes["float32"]


def test_kernels_of_int8_have_a_scale_for_each_channel(contents):
    schema = litert.schema
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(contents["int8"]))
    kernels = [
        tensor
        for tensor in model.subgraphs[0].tensors
        if tensor.type == schema.TensorType.INT8 and len(tensor.shape) == 4
    ]
    assert kernels
    for kernel in kernels:
        assert len(kernel.quantization.scale) == kernel.shape[0]


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_operations_are_built_in(contents, dtype):
    model = litert.schema.Model.GetRootAs(contents[dtype])
    codes = map(model.OperatorCodes, range(model.OperatorCodesLength()))
    assert all(code.CustomCode() is None for code in codes)


@pytest.mark.parametrize("count", [1, 3])
def test_batch_is_resizable(scaled, count):
    noise = _noise(count)
    expected = np.round(np.clip((0.5 * noise + 1) * 127.5, 0, 255))
    np.testing.assert_array_equal(_open(scaled)(noise=noise)["images"], expected)


def test_batch_can_be_fixed():
    content = litert.convert(portable_models.scaled(), portable_models.layout(2))
    (noise,) = _open(content).get_input_details().values()
    assert noise["shape"].tolist() == noise["shape_signature"].tolist() == [2, *SHAPE]


def test_classes_are_an_input():
    layout = portable_models.layout(classes=portable_models.CLASSES)
    run = _open(litert.convert(portable_models.labelled(), layout))
    assert sorted(run.get_input_details()) == ["labels", "noise"]
    drawn = run(noise=_noise(3), labels=np.array([0, 4, 2], np.int32))["images"]
    assert drawn[:, 0, 0, 0].tolist() == [0, 255, 128]


def test_metadata_are_inside(scaled):
    text = litert.metadata(scaled)
    assert portable_models.described(text) == portable_models.ABOUT
    values = json.loads(text)
    assert (values["format"], values["batch"]) == ("litert", 0)
    assert interpreters.Interpreter(model_content=scaled).get_signature_list() == {
        "serving_default": {"inputs": ["noise"], "outputs": ["images"]}
    }


def test_operation_that_the_format_lacks_is_named():
    with pytest.raises(InputError, match=r"format=litert: .*Betainc"):
        litert.convert(portable_models.unusual(), portable_models.layout())


def test_file_is_verified_without_this_package(scaled, tmp_path):
    path, layout = tmp_path / "tiny.tflite", portable_models.layout()
    path.write_bytes(scaled)

    def verify(model):
        arguments = (str(path), "litert", layout, model.generate)
        return portable_verification.verify(*arguments)

    result = verify(portable_models.scaled())
    assert result.distance <= 1e-4
    assert "images in LiteRT's interpreter (largest" in result.text()
    with pytest.raises(VerificationError, match=r"loaded by LiteRT's interp.*must dra"):
        verify(portable_models.scaled(0.6))
    path.write_bytes(b"no model")
    with pytest.raises(VerificationError, match="failed in a process without this"):
        verify(portable_models.scaled())
