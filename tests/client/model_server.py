"""A small model server that speaks TF Serving's two protocols.

Its own protocol messages over real gRPC, and the JSON of its REST interface as
tensorflow.org/tfx/serving/api_rest describes it, over real HTTP; both run a SavedModel.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import re
import threading

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
}
_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict")


class Refused(Exception):  # noqa: N818 - as the server says it.
    """A request ends with a status and a message."""


class Servable:
    """Versions and labels of one model, by its name."""

    def __init__(self, name, versions, labels):
        self.name, self.labels = name, labels
        self.loaded = {v: tf.saved_model.load(path) for v, path in versions.items()}

    def signature(self, name, version, label, signature):
        """The function that a request names."""
        if label:
            version = self.labels.get(label, -1)
        version = version or max(self.loaded)
        if name != self.name or version not in self.loaded:
            message = f"Servable not found for request: Latest({name})"
            raise Refused(grpc.StatusCode.NOT_FOUND, message)
        found = self.loaded[version].signatures
        if signature not in found:
            message = f'Serving signature key "{signature}" not found.'
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, message)
        return found[signature]


def call(signature, tensors):
    """Runs a signature on tensors by name; TensorFlow's refusals become statuses."""
    try:
        return signature(**tensors)
    except (tf.errors.InvalidArgumentError, TypeError) as error:
        message = getattr(error, "message", str(error))
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, message) from error


class Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
    """PredictionService."""

    def __init__(self, servable):
        self.servable = servable

    def Predict(self, request, context):  # noqa: N802 - the protocol's name.
        spec = request.model_spec
        try:
            signature = self.servable.signature(
                spec.name, spec.version.value, spec.version_label, spec.signature_name
            )
            inputs = request.inputs.items()
            tensors = {k: tf.constant(tf.make_ndarray(v)) for k, v in inputs}
            outputs = call(signature, tensors)
        except Refused as refused:
            context.abort(*refused.args)
        answer = predict_pb2.PredictResponse()
        for name, tensor in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return answer


def json_of(name, tensor):
    """A tensor as the server writes it.

    A string is base64 where its name ends in `_bytes`; otherwise its bytes come as they
    are, with quotes, backslashes and controls escaped.
    """
    values = tensor.numpy()
    if tensor.dtype != tf.string:
        return json.dumps(values.tolist()).encode()
    if name.endswith("_bytes"):
        return json.dumps(
            [{"b64": base64.b64encode(v).decode()} for v in values]
        ).encode()
    texts = (
        json.dumps(v.decode("latin-1"), ensure_ascii=False).encode("latin-1")
        for v in values
    )
    return b"[" + b", ".join(texts) + b"]"


class Rest(http.server.BaseHTTPRequestHandler):
    """POST /v1/models/<name>[/versions/<n>|/labels/<label>]:predict, by columns."""

    protocol_version = "HTTP/1.1"
    # Headers and body go in two writes.
    disable_nagle_algorithm = True
    servable: Servable

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.answer(200, self.predict(json.loads(body)))
        except Refused as refused:
            code, message = refused.args
            self.answer(_STATUS[code], json.dumps({"error": message}).encode())

    def predict(self, asked):
        match = _PATH.fullmatch(self.path)
        if not match:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "Malformed request")
        name, version, label = match.groups()
        signature = self.servable.signature(
            name, int(version or 0), label, asked.get("signature_name")
        )
        specs = signature.structured_input_signature[1]
        tensors = {
            k: tf.constant(v, specs[k].dtype) for k, v in asked["inputs"].items()
        }
        outputs = call(signature, tensors)
        # Several outputs would be an object of them.
        ((name, tensor),) = outputs.items()
        return b'{\n    "outputs": ' + json_of(name, tensor) + b"\n}"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(name, versions, labels):
    """Serves versions, paths by number; gives the two addresses."""
    servable = Servable(name, versions, labels)
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Grpc(servable), rpc
    )
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    handler = type("Handler", (Rest,), {"servable": servable})
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    try:
        yield {
            "rest": f"http://127.0.0.1:{rest.server_port}",
            "rpc": f"grpc://127.0.0.1:{port}",
        }
    finally:
        rest.shutdown()
        rest.server_close()
        thread.join()
        rpc.stop(None).wait()
