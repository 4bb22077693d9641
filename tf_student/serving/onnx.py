"""Students as ONNX models, by tf2onnx."""

import logging

from tf_student.serving import onnx_weights, portable
from tf_student.serving.signatures import ServedModel

CONVERTER, RUNTIME = ("tf2onnx", "onnx"), ("onnxruntime",)
# Of ONNX 1.13 (December 2022), which the runtimes of today read.
OPSET = 18
_BATCH = "batch"


def convert(model: ServedModel, layout: portable.Layout) -> bytes:
    """The content of an `.onnx` file with operations of `OPSET`.

    It computes in float32. float16 stores the kernels of convolutions and dense layers
    in two bytes for each weight, int8 in one, with a scale for each output channel.

    Args:
        model: the network, which computes in float32.
        layout: of the file; the dtype is `float32`, `float16` or `int8`.

    Raises:
        InputError: if ONNX lacks an operation of the network.

    Example:

    >>> content = onnx.convert(served, portable.Layout(about, batch=0))
    """
    import onnx
    import tf2onnx

    # It logs what the checker's error says, and else only its progress.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    function, specs = portable.trace(model, layout), layout.inputs()
    converted, _ = tf2onnx.convert.from_function(
        function, input_signature=specs, opset=OPSET
    )
    # tf2onnx leaves operations that it does not know as they are.
    try:
        onnx.checker.check_model(converted)
    except onnx.checker.ValidationError as error:
        raise portable.lacking("onnx", error) from error
    graph = converted.graph
    for value in [*graph.input, *graph.output]:
        first = value.type.tensor_type.shape.dim[0]
        if not layout.batch:
            first.dim_param = _BATCH
    # Shapes inside have other names for the batch, which runtimes would warn of.
    del graph.value_info[:]
    if layout.about.dtype != "float32":
        onnx_weights.store(converted, layout.about.dtype)
    entry = converted.metadata_props.add()
    entry.key = portable.METADATA
    entry.value = layout.metadata(format="onnx", opset=OPSET)
    return converted.SerializeToString()


def metadata(content: bytes) -> str:
    """The metadata of a file, as JSON.

    Raises:
        KeyError: if the file has none.
    """
    import onnx

    entries = onnx.load_from_string(content).metadata_props
    return {entry.key: entry.value for entry in entries}[portable.METADATA]
