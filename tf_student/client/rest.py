"""A connection to TF Serving's REST interface.

It needs only the standard library, and NumPy and Pillow for requests with noise.
"""

import base64
import http.client
import json
import ssl
import urllib.parse
from typing import Any

from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError


class Connection:
    """Requests images by `POST /v1/models/<name>:predict` in a lasting connection.

    Args:
        config: the server and the model.

    Raises:
        InputError: if `ca_file` has no certificates.
        ServerError: if the requests have noise and the server does not describe its
            shape.
    """

    def __init__(self, config: ClientConfig):
        address = urllib.parse.urlsplit(config.server)
        self._server = config.server
        self._http = _open(address, config)
        self._path = f"{address.path.rstrip('/')}/v1/models/{config.model}"
        if config.version:
            self._path += f"/versions/{config.version}"
        if config.label:
            self._path += f"/labels/{config.label}"
        sends_noise = config.signature == "serving_default"
        self._shape = self._read_shape() if sends_noise else None

    def png(self, seed: int, count: int) -> list[bytes]:
        """Requests the images of a seed, as PNG files.

        Raises:
            ServerError: if the server cannot be reached or refuses the request, or its
                answer has no images.
        """
        if self._shape:
            from tf_student.client import arrays

            noise = arrays.noise(seed, count, self._shape).tolist()
            outputs = self._predict("serving_default", {"noise": noise})
            images = arrays.from_lists(outputs)
            return arrays.pngs(images, self._shape, self._server)
        # The output's name ends in `_bytes`, which makes the server use base64.
        outputs = self._predict("png_json", {"seed": seed, "count": count})
        try:
            return [base64.b64decode(v["b64"], validate=True) for v in outputs]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"{self._server} must return PNGs as `outputs`."
            ) from error

    def _read_shape(self) -> tuple[int, int, int]:
        """The shape of an image, from the model's metadata."""
        from tf_student.client import arrays

        answer = self._request("GET", f"{self._path}/metadata")
        try:
            signatures = answer["metadata"]["signature_def"]["signature_def"]
            spec = signatures["serving_default"]["inputs"]["noise"]["tensor_shape"]
            sizes = [dimension["size"] for dimension in spec["dim"]]
            return arrays.shape(sizes, self._server)
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"{self._server} must have the signature `serving_default` with the "
                "input `noise`."
            ) from error

    def _predict(self, signature: str, inputs: dict[str, Any]) -> Any:
        # `inputs` is the format by columns. `instances`, the format by rows, would turn
        # scalars into vectors, because it adds a batch dimension.
        request = {"signature_name": signature, "inputs": inputs}
        answer = self._request("POST", f"{self._path}:predict", request)
        return answer.get("outputs") if isinstance(answer, dict) else None

    def _request(self, method: str, path: str, value: Any = None) -> Any:
        """The parsed JSON of an answer."""
        headers = {"Content-Type": "application/json"}
        sent = None if value is None else json.dumps(value)
        try:
            self._http.request(method, path, sent, headers)
            response = self._http.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{self._server} did not answer: {error!r}.") from error
        if response.status != http.client.OK:
            raise ServerError(
                f"{self._server} answered {response.status} {response.reason}: "
                f"{_reason(body)}"
            )
        try:
            return json.loads(body)
        except ValueError as error:
            raise ServerError(
                f"{self._server} must answer in JSON. Received: {_reason(body)}"
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


def _open(
    address: urllib.parse.SplitResult, config: ClientConfig
) -> http.client.HTTPConnection:
    """Prepares a connection; the first request opens it."""
    if address.scheme == "http":
        return http.client.HTTPConnection(address.netloc, timeout=config.timeout)
    try:
        context = ssl.create_default_context(cafile=config.ca_file or None)
    # An SSLError is an OSError.
    except OSError as error:
        raise InputError(
            "`ca_file` must be a PEM file of certificates. Received: "
            f"ca_file={config.ca_file}."
        ) from error
    return http.client.HTTPSConnection(
        address.netloc, timeout=config.timeout, context=context
    )


def _reason(body: bytes) -> str:
    """The error message of an answer, as one line."""
    text = body.decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"])
    except (json.JSONDecodeError, KeyError, TypeError):
        pass
    return " ".join(text.split())[:500]
