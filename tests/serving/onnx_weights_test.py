import numpy as np
import pytest

from tf_student.serving import onnx_weights

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

# The axis of output channels, and the shapes of the input and of the kernel.
OPERATIONS = {
    "Conv": (0, [1, 4, 6, 6], [5, 4, 3, 3]),
    "ConvTranspose": (1, [1, 4, 6, 6], [4, 5, 3, 3]),
    "MatMul": (1, [2, 4], [4, 5]),
}


def _model(operation, kernel, shape):
    """A model of one operation and a bias."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    bias = np.full([1] * kernel.ndim, 0.123, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node(operation, ["x", "kernel"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["y"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, [None] * len(shape))],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(bias, "bias"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def _run(model, x):
    session = runtime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def _kernel(operation):
    """A kernel with channels of very different sizes."""
    axis, _, shape = OPERATIONS[operation]
    kernel = np.random.default_rng(0).standard_normal(shape)
    scales = 10.0 ** np.arange(-2, 3)
    return kernel * scales.reshape([-1 if n == axis else 1 for n in range(len(shape))])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("dtype", "apart"), [("float16", 1e-3), ("int8", 0.03)])
def test_every_output_channel_keeps_its_precision(operation, dtype, apart):
    _, shape, _ = OPERATIONS[operation]
    kernel = _kernel(operation).astype(np.float32)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    model = _model(operation, kernel, shape)
    expected = _run(model, x)
    onnx_weights.store(model, dtype)
    onnx.checker.check_model(model)
    difference = np.abs(_run(model, x) - expected)
    channels = tuple(n for n in range(x.ndim) if n != 1)
    size = np.abs(expected - 0.123).max(channels)
    assert np.all(difference.max(channels) <= apart * size)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_only_kernels_are_stored_in_fewer_bytes(dtype):
    model = _model("MatMul", _kernel("MatMul").astype(np.float32), [2, 4])
    onnx_weights.store(model, dtype)
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert arrays["bias"].dtype == np.float32
    assert arrays[f"kernel/{dtype}"].dtype == dtype
    assert "kernel" not in arrays


def test_zeros_stay_zeros():
    kernel = np.zeros([4, 5], np.float32)
    kernel[:, 1] = [0, 1, -2, 0]
    model = _model("MatMul", kernel, [4, 4])
    onnx_weights.store(model, "int8")
    np.testing.assert_allclose(
        _run(model, np.eye(4, dtype="f")) - 0.123, kernel, atol=0.01
    )
    assert np.all(_run(model, np.eye(4, dtype="f"))[kernel == 0] == np.float32(0.123))
