"""Kernels of ONNX models in two bytes or one for each weight.

Operations of the standard turn them into float32. A runtime folds these operations when
it opens the file, so that an image takes as long as with float32 weights.
"""

from typing import Any

import numpy as np

# The input that is a kernel, and its axis of output channels, by operation.
_KERNEL = 1
_AXES = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}


def store(model: Any, dtype: str) -> None:
    """Replaces the kernels of convolutions and dense layers in an `onnx.ModelProto`.

    Args:
        model: with float32 weights; changed in place.
        dtype: `float16`, or `int8` with a float32 scale for each output channel.
    """
    from onnx import numpy_helper

    graph, axes = model.graph, _kernels(model.graph)
    kept, nodes = [], []
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name not in axes or value.dtype != np.float32:
            kept.append(tensor)
            continue
        replace = _in_half if dtype == "float16" else _in_bytes
        stored, restoring = replace(tensor.name, value, axes[tensor.name])
        kept += [numpy_helper.from_array(v, name) for name, v in stored.items()]
        nodes += restoring
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _kernels(graph: Any) -> dict[str, int]:
    """The axis of output channels by the name of a kernel."""
    users = [node for node in graph.node if node.op_type in _AXES]
    return {node.input[_KERNEL]: _AXES[node.op_type] for node in users}


def _in_half(name: str, value: np.ndarray, axis: int) -> tuple[dict, list]:
    """What is stored for a kernel, and the operations that restore it."""
    from onnx import TensorProto, helper

    stored = f"{name}/float16"
    cast = helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)
    return {stored: value.astype(np.float16)}, [cast]


def _in_bytes(name: str, value: np.ndarray, axis: int) -> tuple[dict, list]:
    """As `_in_half`, with a scale."""
    from onnx import TensorProto, helper

    others = tuple(n for n in range(value.ndim) if n != axis % value.ndim)
    scale = np.abs(value).max(others, keepdims=True) / np.float32(127)
    levels = np.round(value / np.where(scale == 0, 1, scale)).astype(np.int8)
    stored, whole, factor = (f"{name}/{part}" for part in ("int8", "levels", "scale"))
    # ONNX Runtime computes DequantizeLinear, which is both in one, in every call.
    cast = helper.make_node("Cast", [stored], [whole], to=TensorProto.FLOAT)
    multiply = helper.make_node("Mul", [whole, factor], [name])
    return {stored: levels, factor: scale}, [cast, multiply]
