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
import ssl
import threading

import grpc
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
}
_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict|/metadata)"
)


class RequestError(Exception):
    """A status and a message for the client."""


class Servable:
    """Versions and labels of one model, by its name."""

    def __init__(self, name, versions, labels):
        self.name, self.labels = name, labels
        self.loaded = {v: tf.saved_model.load(path) for v, path in versions.items()}

    def signatures(self, name, version, label):
        """The functions of the version in a request."""
        if label:
            version = self.labels.get(label, -1)
        version = version or max(self.loaded)
        if name != self.name or version not in self.loaded:
            message = f"Servable not found for request: Latest({name})"
            raise RequestError(grpc.StatusCode.NOT_FOUND, message)
        return self.loaded[version].signatures

    def signature(self, name, version, label, signature):
        """The function of the version and signature in a request."""
        signatures = self.signatures(name, version, label)
        if signature not in signatures:
            message = f'Serving signature key "{signature}" not found.'
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, message)
        return signatures[signature]


def described(signatures):
    """The inputs of functions by name, in the form of a server's metadata."""
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for name, function in signatures.items():
        inputs = definitions.signature_def[name].inputs
        for key, spec in function.structured_input_signature[1].items():
            inputs[key].dtype = spec.dtype.as_datatype_enum
            inputs[key].tensor_shape.CopyFrom(spec.shape.as_proto())
    return definitions


def call(signature, tensors):
    """Runs a signature on tensors by name; TensorFlow's errors become statuses."""
    try:
        return signature(**tensors)
    except (tf.errors.InvalidArgumentError, TypeError) as error:
        message = getattr(error, "message", str(error))
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message) from error


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
        except RequestError as error:
            context.abort(*error.args)
        answer = predict_pb2.PredictResponse()
        for name, tensor in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return answer

    def GetModelMetadata(self, request, context):  # noqa: N802 - the protocol's name.
        assert list(request.metadata_field) == ["signature_def"]
        spec = request.model_spec
        try:
            signatures = self.servable.signatures(
                spec.name, spec.version.value, spec.version_label
            )
        except RequestError as error:
            context.abort(*error.args)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.metadata["signature_def"].Pack(described(signatures))
        return answer


def json_of(name, tensor):
    """A tensor as the server writes it.

    A string is base64 if its name ends in `_bytes`. Otherwise its bytes are written as
    they are, with quotes, backslashes and control characters escaped.
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
    """POST /v1/models/<name>[/versions/<n>|/labels/<label>]:predict, by columns.

    Also GET of the same path with /metadata.
    """

    protocol_version = "HTTP/1.1"
    # Headers and body go in two writes.
    disable_nagle_algorithm = True
    servable: Servable

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.respond(lambda: self.predict(json.loads(body)))

    def do_GET(self):
        self.respond(self.metadata)

    def respond(self, make):
        try:
            self.answer(200, make())
        except RequestError as error:
            code, message = error.args
            self.answer(_STATUS[code], json.dumps({"error": message}).encode())

    def model(self, verb):
        match = _PATH.fullmatch(self.path)
        if not match or match[4] != verb:
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, "Malformed request")
        name, version, label, _ = match.groups()
        return name, int(version or 0), label

    def metadata(self):
        definitions = described(self.servable.signatures(*self.model("/metadata")))
        values = json_format.MessageToDict(
            definitions, preserving_proto_field_name=True
        )
        return json.dumps({"metadata": {"signature_def": values}}).encode()

    def predict(self, asked):
        signature = self.servable.signature(
            *self.model(":predict"), asked.get("signature_name")
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


def _listen(rpc, tls):
    if not tls:
        return rpc.add_insecure_port("127.0.0.1:0")
    certificate, key = (path.read_bytes() for path in tls)
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    return rpc.add_secure_port("127.0.0.1:0", credentials)


@contextlib.contextmanager
def serving(name, versions, labels, tls=None):
    """Serves versions, given as paths by number, and yields the two addresses.

    With TLS if `tls` has the paths of a certificate and its key.
    """
    servable = Servable(name, versions, labels)
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Grpc(servable), rpc
    )
    port = _listen(rpc, tls)
    rpc.start()
    handler = type("Handler", (Rest,), {"servable": servable})
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        rest.socket = context.wrap_socket(rest.socket, server_side=True)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    try:
        s = "s" if tls else ""
        yield {
            "rest": f"http{s}://127.0.0.1:{rest.server_port}",
            "rpc": f"grpc{s}://127.0.0.1:{port}",
        }
    finally:
        rest.shutdown()
        rest.server_close()
        thread.join()
        rpc.stop(None).wait()
