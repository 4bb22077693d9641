"""Answers over gRPC that a model server should not send."""

import concurrent.futures
import contextlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import any_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

from tf_student.client import arrays, rpc
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import ServerError

_SHAPE = (4, 4, 1)


def _metadata(sizes):
    signatures = get_model_metadata_pb2.SignatureDefMap()
    noise = signatures.signature_def["serving_default"].inputs["noise"]
    for size in sizes:
        noise.tensor_shape.dim.add(size=size)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].Pack(signatures)
    return answer.SerializeToString()


@contextlib.contextmanager
def _serving(predict, metadata):
    """A server that answers with any bytes; `predict` may be a function of the call."""
    answers = {"Predict": predict, "GetModelMetadata": metadata}
    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda request, context, answer=answer: (
                answer(context) if callable(answer) else answer
            )
        )
        for name, answer in answers.items()
    }
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, methods)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


_METADATA = _metadata([-1, *_SHAPE])


def _error(predict, capfd, signature="png", metadata=_METADATA):
    with _serving(predict, metadata) as server:
        config = ClientConfig(server, count=2, timeout=5.0, signature=signature)
        with pytest.raises(ServerError) as raised:
            with contextlib.closing(rpc.Connection(config)) as connection:
                connection.png(0, 2)
    # gRPC itself must not log a traceback.
    assert "Traceback" not in capfd.readouterr().err
    text = str(raised.value)
    assert text.startswith(f"{server} ") and "\n" not in text and len(text) < 700
    return text


def _answer(*tensors):
    answer = predict_pb2.PredictResponse()
    for number, tensor in enumerate(tensors):
        answer.outputs[str(number)].CopyFrom(tensor)
    return answer.SerializeToString()


def _tensor(dtype, sizes, **values):
    tensor = tensor_pb2.TensorProto(dtype=getattr(dtype, "as_datatype_enum", dtype))
    for size in sizes or ():
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_shape.unknown_rank = sizes is None
    for name, value in values.items():
        if isinstance(value, list):
            getattr(tensor, name).extend(value)
        else:
            setattr(tensor, name, value)
    return tensor


_PNG = arrays.pngs(np.zeros([1, *_SHAPE], np.uint8))[0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"\xff" * 9, "must answer with a PredictResponse."),
        (b"\x0a\xff\xff\xff\xff\x0f", "must answer with a PredictResponse."),
        (_answer(), "must return one output. Received: 0."),
        (_answer(_tensor(tf.string, [0]), _tensor(tf.string, [0])), "one output. Rec"),
        (_answer(_tensor(tf.string, [10**15], string_val=[_PNG])), "must return PNGs"),
        (_answer(_tensor(tf.string, [-1], string_val=[_PNG])), "must return PNGs"),
        (_answer(_tensor(tf.string, None, string_val=[_PNG])), "must return PNGs"),
        (
            _answer(_tensor(tf.string, [2, 1], string_val=[_PNG] * 2)),
            "must return PNGs",
        ),
        (_answer(_tensor(tf.string, [2], string_val=[_PNG])), "must return PNGs"),
        (_answer(_tensor(tf.float32, [2], string_val=[_PNG] * 2)), "return PNGs"),
        (_answer(_tensor(999, [2], string_val=[_PNG] * 2)), "return PNGs"),
        (
            _answer(_tensor(tf.string, [3], string_val=[_PNG] * 3)),
            "return 2 images",
        ),
        (
            _answer(_tensor(tf.string, [2], string_val=[_PNG, b"GIF"])),
            "PNG files",
        ),
        (b"\x00" * 2**20, "answered RESOURCE_EXHAUSTED: "),
    ],
    ids=lambda value: "",
)
def test_unexpected_answer_is_one_line(answer, message, capfd):
    assert message in _error(answer, capfd)


_SIZES = [2, *_SHAPE]


@pytest.mark.parametrize(
    "tensor",
    [
        _tensor(tf.uint8, [10**6] * 3, int_val=[1]),
        _tensor(tf.uint8, [2**62, 4, 4, 1], tensor_content=b"\x00" * 32),
        _tensor(tf.uint8, _SIZES, tensor_content=b"\x00" * 31),
        _tensor(tf.uint8, _SIZES, int_val=[1]),
        _tensor(tf.uint8, _SIZES, int_val=[1] * 31 + [256]),
        _tensor(tf.uint8, _SIZES, int_val=[1] * 31 + [-1]),
        _tensor(tf.uint8, _SIZES, int_val=[1] * 32, tensor_content=b"\x00" * 32),
        _tensor(tf.uint8, _SIZES),
        _tensor(tf.uint8, None, int_val=[1] * 32),
        _tensor(tf.int32, _SIZES, int_val=[1] * 32),
        _tensor(tf.float32, _SIZES, float_val=[1.0] * 32),
        _tensor(tf.string, [2], string_val=[_PNG] * 2),
        _tensor(999, _SIZES, int_val=[1] * 32),
    ],
    ids=lambda value: "",
)
def test_unexpected_images_are_one_line(tensor, capfd):
    text = _error(_answer(tensor), capfd, "serving_default")
    assert "must return images [2, 4, 4, 1] of integers from 0 to 255." in text


@pytest.mark.parametrize(
    "values", [{"int_val": [7] * 32}, {"tensor_content": b"\x07" * 32}]
)
def test_both_forms_of_a_tensor_are_images(values):
    predict = _answer(_tensor(tf.uint8, _SIZES, **values))
    with _serving(predict, _metadata([-1, *_SHAPE])) as server:
        config = ClientConfig(server, count=2, signature="serving_default")
        with contextlib.closing(rpc.Connection(config)) as connection:
            pngs = connection.png(0, 2)
    np.testing.assert_array_equal([tf.io.decode_png(png) for png in pngs], 7)


_OTHER = any_pb2.Any(type_url="type.example/other", value=b"\xff" * 9)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (b"\xff" * 9, "must answer with a GetModelMetadataResponse."),
        (b"", "must have the signature `serving_default` with the input `noise`."),
        (
            get_model_metadata_pb2.GetModelMetadataResponse(
                metadata={"signature_def": _OTHER}
            ).SerializeToString(),
            "must have the signature `serving_default` with the input `noise`.",
        ),
        (_metadata([]), "must take noise [n, height, width, channels]"),
        (_metadata([-1, 8, 8, -3]), "must take noise [n, height, width, channels]"),
        (_metadata([-1] + [2**62] * 3), "must take noise [n, height, width, channels]"),
        (_metadata([1] * 99_999), "must take noise [n, height, width, channels]"),
        (_metadata([-1, 9999, 9999, 3]), "must have at most 16,777,216 numbers."),
        (b"\x00" * 2**21, "answered RESOURCE_EXHAUSTED: "),
    ],
    ids=lambda value: "",
)
@pytest.mark.parametrize("signature", ["png", "serving_default"])
def test_unexpected_metadata_are_one_line(metadata, message, signature, capfd):
    assert message in _error(b"", capfd, signature, metadata)


def test_compressed_answer_is_not_decompressed(capfd):
    """A small message could become a thousand times as long."""

    def compressed(context):
        context.set_compression(grpc.Compression.Gzip)
        return _answer(_tensor(tf.string, [2], string_val=[_PNG + b" " * 9999] * 2))

    text = _error(compressed, capfd)
    assert "must answer with a PredictResponse." in text


def test_control_characters_of_a_message_are_dropped(capfd):
    def refuse(context):
        context.abort(grpc.StatusCode.NOT_FOUND, "a\n\x1b[2Jb" + "c" * 3000)

    assert "answered NOT_FOUND: a [2Jbccc" in _error(refuse, capfd)
