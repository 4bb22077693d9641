import json

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import graph_pb2

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


def _read(directory):
    """The graph of a model with its weights, as TensorFlow.js puts them together."""
    model = json.loads((directory / "model.json").read_text())
    (group,) = model["weightsManifest"]
    content = b"".join((directory / name).read_bytes() for name in group["paths"])
    graph = json_format.ParseDict(model["modelTopology"], graph_pb2.GraphDef())
    constants, offset = {}, 0
    for entry in group["weights"]:
        dtype = np.dtype(entry.get("quantization", entry)["dtype"])
        count = int(np.prod(entry["shape"]))
        value = np.frombuffer(content, dtype, count, offset).reshape(entry["shape"])
        offset += value.nbytes
        constants[entry["name"]] = value.astype(entry["dtype"])
    assert offset == len(content)
    for node in graph.node:
        if node.op == "Const":
            proto = tf.make_tensor_proto(constants[node.name])
            assert not node.attr["value"].tensor.tensor_content
            assert node.attr["value"].tensor.dtype == proto.dtype
            node.attr["value"].tensor.CopyFrom(proto)
    return model, graph


def _run(model, graph, noise, labels):
    function = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph, name=""), []
    )
    inputs, outputs = model["signature"]["inputs"], model["signature"]["outputs"]
    pruned = function.prune(
        [inputs["noise"]["name"], inputs["labels"]["name"]], outputs["images"]["name"]
    )
    return pruned(tf.constant(noise), tf.constant(labels)).numpy()


def test_graph_and_weights_are_the_function(function, tmp_path):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {"name": "tiny"})
    model, graph = _read(tmp_path)
    assert (model["format"], model["userDefinedMetadata"]) == (
        "graph-model",
        {"name": "tiny"},
    )
    noise, labels = np.array([[1.0, -2.0, 0.5]], np.float32), np.array([3], np.int32)
    expected = function(tf.constant(noise), tf.constant(labels))
    np.testing.assert_allclose(_run(model, graph, noise, labels), expected, rtol=1e-6)


def test_what_depends_on_sizes_and_weights_is_computed(function, tmp_path):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {})
    _, graph = _read(tmp_path)
    kinds = {node.op for node in graph.node}
    assert {"MatMul", "GatherV2", "Const"} < kinds
    assert not kinds & {"Fill", "Shape", "Mul", "ReadVariableOp", "VarHandleOp"}


def test_half_stores_matrices_in_two_bytes(function, tmp_path):
    graph_model.write(str(tmp_path), function, _SIGNATURE, {}, half=True)
    model, graph = _read(tmp_path)
    weights = model["weightsManifest"][0]["weights"]
    assert all(
        (len(w["shape"]) > 1 and w["dtype"] == "float32") == ("quantization" in w)
        for w in weights
    )
    noise, labels = np.zeros((1, 3), np.float32), np.array([1], np.int32)
    expected = function(tf.constant(noise), tf.constant(labels))
    np.testing.assert_allclose(_run(model, graph, noise, labels), expected, rtol=2e-3)


def test_weights_are_in_files_of_one_size(function, tmp_path, monkeypatch):
    monkeypatch.setattr(graph_model, "_SHARD", 64)
    graph_model.write(str(tmp_path), function, _SIGNATURE, {})
    model, _ = _read(tmp_path)
    sizes = {p.name: p.stat().st_size for p in tmp_path.glob("weights*")}
    assert sorted(sizes) == model["weightsManifest"][0]["paths"]
    assert list(sizes.values()).count(64) == len(sizes) - 1 >= 1
