import numpy as np
import pytest
import tensorflow as tf

from tests.serving.graph_model_files import function_of, read
from tf_student.serving import graph_model

_SIGNATURE = [
    tf.TensorSpec([1, 3], tf.float32, "noise"),
    tf.TensorSpec([1], tf.int32, "labels"),
]


@pytest.fixture(scope="module")
def function():
    table = tf.Variable(np.linspace(-1, 1, 12).reshape(4, 3), dtype=tf.float32)
    kernel = tf.Variable(np.linspace(0, 2, 15).reshape(3, 5), dtype=tf.float32)

    def function(noise, labels):
        # Known when it is written, because the batch is.
        bias = tf.fill([tf.shape(noise)[0], 5], 3.0)
        return (noise + tf.gather(table, labels)) @ (2.0 * kernel) + bias

    return function


def test_graph_and_weights_are_the_function(function, tmp_path):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {"name": "tiny"})
    model, graph = read(tmp_path)
    assert (model["format"], model["userDefinedMetadata"]) == (
        "graph-model",
        {"name": "tiny"},
    )
    noise, labels = np.array([[1.0, -2.0, 0.5]], np.float32), np.array([3], np.int32)
    given = tf.constant(noise), tf.constant(labels)
    drawn = function_of(model, graph)(*given)
    np.testing.assert_allclose(drawn, function(*given), rtol=1e-6)


def test_what_depends_on_sizes_and_weights_is_computed(function, tmp_path):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {})
    _, graph = read(tmp_path)
    kinds = {node.op for node in graph.node}
    assert {"MatMul", "GatherV2", "Const"} < kinds
    assert not kinds & {"Fill", "Shape", "Mul", "ReadVariableOp", "VarHandleOp"}


@pytest.mark.parametrize(
    ("weights", "stored", "apart"),
    [("float16", "float16", 2e-3), ("int8", "uint8", 0.03)],
)
def test_matrices_are_stored_in_fewer_bytes(function, tmp_path, weights, stored, apart):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {}, weights=weights)
    model, graph = read(tmp_path)
    kept = model["weightsManifest"][0]["weights"]
    dtypes = {tuple(w["shape"]): w.get("quantization", w)["dtype"] for w in kept}
    # The table of labels and the kernel.
    assert (dtypes[4, 3], dtypes[3, 5]) == (stored, stored)
    given = tf.ones([1, 3]), tf.constant([1])
    drawn = function_of(model, graph)(*given)
    np.testing.assert_allclose(drawn, function(*given), rtol=apart)


def test_bytes_keep_zero_and_the_ends():
    value = np.array([[0.0, -0.3], [1.0, 0.0], [0.7, -0.1]], np.float32)
    entry, content = graph_model._weight("kernel", value, "int8")
    how = entry["quantization"]
    decoded = np.frombuffer(content, np.uint8) * how["scale"] + how["min"]
    assert decoded[[0, 3]].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(decoded, value.ravel(), atol=how["scale"])
    assert how["scale"] == pytest.approx(1.3 / 255)


@pytest.mark.parametrize("value", [np.zeros((2, 2)), np.full((2, 2), 3.0)])
def test_bytes_of_equal_weights(value):
    entry, content = graph_model._weight("kernel", value.astype(np.float32), "int8")
    how = entry["quantization"]
    decoded = np.frombuffer(content, np.uint8) * how["scale"] + how["min"]
    np.testing.assert_allclose(decoded, value.ravel(), rtol=1e-6)


def test_a_single_row_keeps_its_precision():
    entry, _ = graph_model._weight("bias", np.ones((1, 1, 1, 9), np.float32), "int8")
    assert "quantization" not in entry


def test_weights_are_in_files_of_one_size(function, tmp_path, monkeypatch):
    monkeypatch.setattr(graph_model, "_SHARD", 64)
    graph_model.write(str(tmp_path), function, _SIGNATURE, {})
    model, _ = read(tmp_path)
    sizes = {p.name: p.stat().st_size for p in tmp_path.glob("weights*")}
    assert sorted(sizes) == model["weightsManifest"][0]["paths"]
    assert list(sizes.values()).count(64) == len(sizes) - 1 >= 1
