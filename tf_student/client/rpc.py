"""One connection to TF Serving's gRPC interface, by its own protocol messages."""

import urllib.parse

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tf_student.client.config import ClientConfig
from tf_student.errors import ServerError

# Images outgrow gRPC's 4 MiB.
_OPTIONS = [("grpc.max_receive_message_length", -1)]


class Connection:
    """Asks for PNGs by `PredictionService.Predict`."""

    def __init__(self, config: ClientConfig):
        self._config = config
        self._channel = grpc.insecure_channel(
            urllib.parse.urlsplit(config.server).netloc, _OPTIONS
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def png(self, seed: int, count: int) -> list[bytes]:
        """The images of a seed, as PNG files.

        Raises:
            ServerError: if the server cannot be reached, or answers anything else.
        """
        server = self._config.server
        request = self._request(seed, count)
        try:
            answer = self._stub.Predict(request, timeout=self._config.timeout)
        except grpc.RpcError as error:
            reason = " ".join((error.details() or "").split())[:500]
            raise ServerError(
                f"{server} answered {error.code().name}: {reason}"
            ) from error
        outputs = list(answer.outputs.values())
        if len(outputs) != 1 or outputs[0].dtype != tf.string.as_datatype_enum:
            raise ServerError(f"{server} answered without one output of PNGs.")
        return list(tf.make_ndarray(outputs[0]))

    def _request(self, seed: int, count: int) -> predict_pb2.PredictRequest:
        request = predict_pb2.PredictRequest()
        spec = request.model_spec
        spec.name, spec.signature_name = self._config.model, "png"
        if self._config.version:
            spec.version.value = self._config.version
        if self._config.label:
            spec.version_label = self._config.label
        request.inputs["seed"].CopyFrom(tf.make_tensor_proto(seed, tf.int64))
        request.inputs["count"].CopyFrom(tf.make_tensor_proto(count, tf.int32))
        return request

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()
