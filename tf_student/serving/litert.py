"""Students as LiteRT (TensorFlow Lite) models."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.lite.tools import flatbuffer_utils
from tensorflow.python.framework import convert_to_constants

from tf_student.serving import portable
from tf_student.serving.signatures import ServedModel

# The extra of the package is needed for the verification only.
RUNTIME = ("ai_edge_litert",)
_SIGNATURE = "serving_default"


def convert(model: ServedModel, layout: portable.Layout) -> bytes:
    """The content of a `.tflite` file, of built-in operations only.

    float16 stores all weights in two bytes. int8 stores the kernels of convolutions and
    dense layers in one byte, with a scale for each output channel; the runtime
    quantizes their inputs while it computes.

    Args:
        model: the network, which computes in float32.
        layout: of the file; the dtype is `float32`, `float16` or `int8`.

    Raises:
        InputError: if LiteRT lacks an operation of the network.

    Example:

    >>> content = litert.convert(served, portable.Layout(about, batch=0))
    """
    traced = portable.trace(model, layout).get_concrete_function()
    # LiteRT's interpreter answers NaN if the graph captures variables.
    frozen = convert_to_constants.convert_variables_to_constants_v2(traced)
    with _without_warnings():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if layout.about.dtype != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if layout.about.dtype == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        return _describe(converter.convert(), layout)
    except ConverterError as error:
        raise portable.lacking("litert", error) from error


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Hides that the object of the function is missing, which has no variables left.

    With an object, the converter would rename the inputs of some graphs.
    """
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _describe(content: bytes, layout: portable.Layout) -> bytes:
    """The file with the names of its inputs and outputs, and with the metadata."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content)))
    graph = model.subgraphs[0]
    names = [spec.name for spec in layout.inputs()]
    by_name = {graph.tensors[index].name.decode(): index for index in graph.inputs}
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    signature.inputs = [_named(name, by_name[name]) for name in names]
    signature.outputs = [_named(portable.IMAGES, graph.outputs[0])]
    model.signatureDefs = [signature]
    buffer = schema.BufferT()
    buffer.data = list(layout.metadata(format="litert").encode())
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = portable.METADATA, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _named(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def metadata(content: bytes) -> str:
    """The metadata of a file, as JSON.

    Raises:
        KeyError: if the file has none.
    """
    model = schema.Model.GetRootAs(content)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name().decode() == portable.METADATA:
            return bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).decode()
    raise KeyError(portable.METADATA)
