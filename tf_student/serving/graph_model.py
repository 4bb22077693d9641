"""Graph models of TensorFlow.js, without its converter.

The format is a `model.json` with the frozen graph as JSON and a list of its weights,
whose bytes are in files of at most 4 MiB.
"""

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.training import saver

from tf_student.runtime.version import __version__

MODEL = "model.json"
# What TensorFlow.js' own converter writes.
_SHARD = 2**22
_PASSES = ("pruning", "constfold", "arithmetic", "dependency", "pruning", "constfold")


def write(
    directory: str,
    function: Callable[..., tf.Tensor],
    signature: list[tf.TensorSpec],
    metadata: dict[str, Any],
    *,
    weights: str = "float32",
) -> None:
    """Writes a function as a graph model.

    Args:
        directory: an existing directory, for `model.json` and the weights.
        function: of tensors of the signature, with one output. Its graph must consist
            of TensorFlow's own operations.
        signature: the inputs, with all sizes known: what depends on the sizes and on
            weights only is computed here.
        metadata: becomes `model.metadata`.
        weights: how matrices and kernels are stored: as `float32`, as `float16`, or
            with `int8` in one byte, with a scale and an offset for each of them.
            TensorFlow.js computes in float32.

    Example:

    >>> spec = tf.TensorSpec([1, 8, 8, 1], tf.float32, "noise")
    >>> write(directory, student, [spec], {"name": "digits"})
    """
    graph, output = _frozen(function, signature)
    entries, content = _take_weights(graph, weights)
    names = _write_shards(directory, content)
    model = {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "convertedBy": f"tf-student {__version__}",
        "signature": _signature(signature, output),
        "userDefinedMetadata": metadata,
        "modelTopology": json_format.MessageToDict(graph),
        "weightsManifest": [{"paths": names, "weights": entries}],
    }
    with tf.io.gfile.GFile(os.path.join(directory, MODEL), "w") as file:
        json.dump(model, file, separators=(",", ":"), allow_nan=False)


def _frozen(function, signature):
    """The graph with constants for weights, simplified; and its output's name."""
    concrete = tf.function(
        function, autograph=False, input_signature=signature
    ).get_concrete_function()
    frozen = convert_to_constants.convert_variables_to_constants_v2(concrete)
    meta = saver.export_meta_graph(
        graph_def=frozen.graph.as_graph_def(), graph=frozen.graph
    )
    fetched = meta.collection_def["train_op"].node_list.value
    fetched.extend(tensor.name for tensor in [*frozen.inputs, *frozen.outputs])
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(_PASSES)
    graph = tf_optimizer.OptimizeGraph(config, meta)
    graph.ClearField("library")
    (output,) = frozen.outputs
    return graph, output


def _take_weights(graph, weights: str) -> tuple[list[dict[str, Any]], bytes]:
    """Removes the constants' values, and returns their list and their bytes."""
    entries, contents = [], []
    for node in graph.node:
        if node.op == "Const":
            tensor = node.attr["value"].tensor
            entry, content = _weight(node.name, tf.make_ndarray(tensor), weights)
            entries.append(entry)
            contents.append(content)
            _clear(tensor)
    return entries, b"".join(contents)


def _weight(name: str, value: np.ndarray, weights: str) -> tuple[dict[str, Any], bytes]:
    """The entry of a constant in the list of weights, and its bytes."""
    entry: dict[str, Any] = {
        "name": name,
        "shape": list(value.shape),
        "dtype": value.dtype.name,
    }
    if value.dtype == np.float32 and value.ndim > 1:
        if weights == "float16":
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            value = value.astype(np.float16)
        # A single row is a bias, which the images depend on more than on a weight.
        elif weights == "int8" and value.size > value.shape[-1]:
            value, scale, lowest = _quantize(value)
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": lowest}
    return entry, value.astype(value.dtype.newbyteorder("<")).tobytes()


def _quantize(value: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Bytes, their scale and the value of the byte 0; zero is exact."""
    lowest, highest = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    scale = (highest - lowest) / 255 or 1.0
    zero = round(-lowest / scale)
    levels = np.clip(np.round(value / scale) + zero, 0, 255)
    return levels.astype(np.uint8), scale, -zero * scale


def _clear(tensor) -> None:
    """Removes a constant's value, but not its type and its shape."""
    for field, _ in tensor.ListFields():
        if field.name not in ("dtype", "tensor_shape"):
            tensor.ClearField(field.name)


def _signature(inputs: list[tf.TensorSpec], output: tf.Tensor) -> dict[str, Any]:
    """The names by which TensorFlow.js feeds and fetches, as a SignatureDef."""

    def described(name: str, dtype: tf.DType, shape: tf.TensorShape) -> dict[str, Any]:
        info = meta_graph_pb2.TensorInfo(
            name=name, dtype=dtype.as_datatype_enum, tensor_shape=shape.as_proto()
        )
        return json_format.MessageToDict(info)

    return {
        "inputs": {s.name: described(f"{s.name}:0", s.dtype, s.shape) for s in inputs},
        "outputs": {"images": described(output.name, output.dtype, output.shape)},
    }


def _write_shards(directory: str, content: bytes) -> list[str]:
    """Writes the weights' bytes, and returns the names of the files."""
    starts = range(0, len(content), _SHARD)
    names = [f"weights{i + 1}of{len(starts)}.bin" for i in range(len(starts))]
    for name, start in zip(names, starts, strict=True):
        with tf.io.gfile.GFile(os.path.join(directory, name), "wb") as file:
            file.write(content[start : start + _SHARD])
    return names
