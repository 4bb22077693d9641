"""A connection to TF Serving's gRPC interface."""

import urllib.parse
from collections.abc import Callable, Mapping

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tf_student.client import arrays
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError

# The default limit, 4 MiB, is too small for images.
_OPTIONS = [("grpc.max_receive_message_length", -1)]


class Connection:
    """Requests images by `PredictionService.Predict`.

    Args:
        config: the server and the model.

    Raises:
        InputError: if `ca_file` cannot be read.
        ServerError: if the requests have noise and the server does not describe its
            shape.
    """

    def __init__(self, config: ClientConfig):
        self._config = config
        self._channel = _open(urllib.parse.urlsplit(config.server), config)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        sends_noise = config.signature == "serving_default"
        self._shape = self._read_shape() if sends_noise else None

    def png(self, seed: int, count: int) -> list[bytes]:
        """Requests the images of a seed, as PNG files.

        Raises:
            ServerError: if the server cannot be reached or refuses the request, or its
                answer has no images.
        """
        server = self._config.server
        if self._shape:
            noise = arrays.noise(seed, count, self._shape)
            images = self._predict("serving_default", {"noise": noise})
            return arrays.pngs(images, self._shape, server)
        scalars = {
            "seed": np.asarray(seed, "int64"),
            "count": np.asarray(count, "int32"),
        }
        files = self._predict("png", scalars)
        if files.dtype != object or files.ndim != 1:
            raise ServerError(f"{server} must return PNGs as its output.")
        return list(files)

    def _predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """The only output of a signature."""
        request = predict_pb2.PredictRequest(model_spec=self._model(signature))
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        outputs = list(self._call(self._stub.Predict, request).outputs.values())
        if len(outputs) != 1:
            raise ServerError(
                f"{self._config.server} must return one output. "
                f"Received: {len(outputs)}."
            )
        return np.asarray(tf.make_ndarray(outputs[0]))

    def _read_shape(self) -> tuple[int, int, int]:
        """The shape of an image, from the model's metadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._model(), metadata_field=["signature_def"]
        )
        answer = self._call(self._stub.GetModelMetadata, request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(signatures)
        inputs = signatures.signature_def["serving_default"].inputs
        if "noise" not in inputs:
            raise ServerError(
                f"{self._config.server} must have the signature `serving_default` "
                "with the input `noise`."
            )
        sizes = [dimension.size for dimension in inputs["noise"].tensor_shape.dim]
        return arrays.shape(sizes, self._config.server)

    def _model(self, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._config.model, signature_name=signature)
        if self._config.version:
            spec.version.value = self._config.version
        if self._config.label:
            spec.version_label = self._config.label
        return spec

    def _call(self, method: Callable, request):
        try:
            return method(request, timeout=self._config.timeout)
        except grpc.RpcError as error:
            reason = " ".join((error.details() or "").split())[:500]
            raise ServerError(
                f"{self._config.server} answered {error.code().name}: {reason}"
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()


def _open(address: urllib.parse.SplitResult, config: ClientConfig) -> grpc.Channel:
    if address.scheme == "grpc":
        return grpc.insecure_channel(address.netloc, _OPTIONS)
    authorities = None
    if config.ca_file:
        try:
            with open(config.ca_file, "rb") as file:
                authorities = file.read()
        except OSError as error:
            raise InputError(
                "`ca_file` must be a PEM file of certificates. Received: "
                f"ca_file={config.ca_file}."
            ) from error
    credentials = grpc.ssl_channel_credentials(authorities)
    return grpc.secure_channel(address.netloc, credentials, _OPTIONS)
