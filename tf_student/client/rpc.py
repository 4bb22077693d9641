"""A connection to TF Serving's gRPC interface."""

import contextlib
import math
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2

from tf_student.client import arrays, limits
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError

_SERVICE = "/tensorflow.serving.PredictionService"


class Connection:
    """Requests images by `PredictionService.Predict`.

    Args:
        config: the server and the model.

    Raises:
        InputError: if `ca_file` cannot be read, or labels do not fit the model.
        ServerError: if the server does not describe the model's images, or they are too
            large.
    """

    def __init__(self, config: ClientConfig):
        self._config = config
        self._sends_noise = config.signature == "serving_default"
        # A channel has one limit for all of its answers.
        self._channel = _open(config, limits.MAX_DESCRIPTION)
        with contextlib.closing(self._channel):
            self._shape, has_classes = self._read_inputs()
        self._labels = config.image_labels(has_classes)
        limit = limits.binary_bytes(config.count, self._shape)
        self._channel = _open(config, limit)

    def png(self, seed: int, count: int) -> list[bytes]:
        """Requests the images of a seed, as PNG files.

        Args:
            seed: of the images.
            count: number of images, at most `count` of the config.

        Raises:
            ServerError: if the server cannot be reached or refuses the request, or its
                answer does not have these images.
        """
        pngs = (self._from_noise if self._sends_noise else self._from_seed)(seed, count)
        limits.check_pngs(pngs, count, self._shape, self._config.server)
        return pngs

    def _from_noise(self, seed: int, count: int) -> list[bytes]:
        noise = arrays.noise(seed, count, self._shape)
        output = self._predict(
            "serving_default", {"noise": noise, **self._chosen(count)}
        )
        values = math.prod((count, *self._shape))
        content = len(output.tensor_content), len(output.int_val)
        right = _is(output, tf.uint8, (count, *self._shape))
        if not right or content not in ((values, 0), (0, values)):
            raise arrays.wrong_images(count, self._shape, self._config.server)
        try:
            return arrays.pngs(np.asarray(tf.make_ndarray(output)))
        except (OverflowError, TypeError, ValueError) as error:
            raise arrays.wrong_images(
                count, self._shape, self._config.server
            ) from error

    def _from_seed(self, seed: int, count: int) -> list[bytes]:
        many = self._chosen(count) or {"count": np.asarray(count, "int32")}
        output = self._predict("png", {"seed": np.asarray(seed, "int64"), **many})
        files = list(output.string_val)
        if not _is(output, tf.string, (len(files),)):
            raise ServerError(f"{self._config.server} must return PNGs as its output.")
        return files

    def _predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Any:
        """The only output of a signature, as a `TensorProto` that is not checked."""
        request = predict_pb2.PredictRequest(model_spec=self._model(signature))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        answer = self._call("Predict", request, predict_pb2.PredictResponse())
        outputs = list(answer.outputs.values())
        if len(outputs) != 1:
            raise ServerError(
                f"{self._config.server} must return one output. "
                f"Received: {len(outputs)}."
            )
        return outputs[0]

    def _chosen(self, count: int) -> dict[str, np.ndarray]:
        """The labels as an input, if the model has classes."""
        if self._labels is None:
            return {}
        return {"labels": np.asarray(self._labels[:count], "int32")}

    def _read_inputs(self) -> tuple[limits.Shape, bool]:
        """The shape of an image, and whether the model has classes."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._model(), metadata_field=["signature_def"]
        )
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer = self._call("GetModelMetadata", request, answer)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        # An `Any` of another type leaves the map empty.
        with contextlib.suppress(DecodeError):
            answer.metadata["signature_def"].Unpack(signatures)
        inputs = signatures.signature_def["serving_default"].inputs
        if "noise" not in inputs:
            raise ServerError(
                f"{self._config.server} must have the signature `serving_default` "
                "with the input `noise`."
            )
        sizes = [dimension.size for dimension in inputs["noise"].tensor_shape.dim]
        shape = limits.image_shape(sizes, self._config.count, self._config.server)
        return shape, "labels" in inputs

    def _model(self, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._config.model, signature_name=signature)
        if self._config.version:
            spec.version.value = self._config.version
        if self._config.label:
            spec.version_label = self._config.label
        return spec

    def _call(self, name: str, request: Message, answer: Any) -> Any:
        """Fills `answer` with the answer to a request."""
        # Parsed here, because gRPC logs a traceback for bytes that it cannot parse.
        method = self._channel.unary_unary(
            f"{_SERVICE}/{name}", request_serializer=type(request).SerializeToString
        )
        try:
            answer.ParseFromString(method(request, timeout=self._config.timeout))
        except grpc.RpcError as error:
            reason = limits.one_line(error.details() or "")
            raise ServerError(
                f"{self._config.server} answered {error.code().name}: {reason}"
            ) from error
        except DecodeError as error:
            raise ServerError(
                f"{self._config.server} must answer with a {type(answer).__name__}."
            ) from error
        return answer

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def _is(tensor: Any, dtype: tf.DType, shape: tuple[int, ...]) -> bool:
    """Whether a `TensorProto` claims a type and a shape."""
    sizes = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    claimed = tensor.dtype, tensor.tensor_shape.unknown_rank, sizes
    return claimed == (dtype.as_datatype_enum, False, shape)


def _open(config: ClientConfig, limit: int) -> grpc.Channel:
    """Opens a channel for answers of at most `limit` bytes."""
    address = urllib.parse.urlsplit(config.server)
    options = [
        ("grpc.max_receive_message_length", limit),
        # The limit holds for compressed messages, whose content may be a thousand times
        # as long; so they are neither accepted nor decompressed.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.per_message_decompression", 0),
    ]
    if address.scheme == "grpc":
        return grpc.insecure_channel(address.netloc, options)
    authorities = None
    if config.ca_file:
        try:
            if not os.path.isfile(config.ca_file):
                # Opening a pipe would wait for its writer.
                raise FileNotFoundError(config.ca_file)
            with open(config.ca_file, "rb") as file:
                authorities = file.read()
        except OSError as error:
            raise InputError(
                "`ca_file` must be a PEM file of certificates. Received: "
                f"ca_file={config.ca_file}."
            ) from error
    credentials = grpc.ssl_channel_credentials(authorities)
    return grpc.secure_channel(address.netloc, credentials, options)
