"""Reads and runs graph models of TensorFlow.js by TensorFlow."""

import json

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.framework import graph_pb2


def read(directory):
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
        if dtype == np.uint8:
            how = entry["quantization"]
            value = value * np.float32(how["scale"]) + np.float32(how["min"])
        constants[entry["name"]] = value.astype(entry["dtype"])
    assert offset == len(content)
    for node in graph.node:
        if node.op == "Const":
            proto = tf.make_tensor_proto(constants[node.name])
            assert not node.attr["value"].tensor.tensor_content
            assert node.attr["value"].tensor.dtype == proto.dtype
            node.attr["value"].tensor.CopyFrom(proto)
    return model, graph


def function_of(model, graph):
    """A function of the noise and, if the model has classes, of the labels."""
    function = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph, name=""), []
    )
    inputs, outputs = model["signature"]["inputs"], model["signature"]["outputs"]
    names = [inputs[name]["name"] for name in ("noise", "labels") if name in inputs]
    return function.prune(names, outputs["images"]["name"])
