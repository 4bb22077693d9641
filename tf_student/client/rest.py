"""One connection to TF Serving's REST interface, with the standard library alone."""

import base64
import http.client
import json
import urllib.parse
from typing import Any

from tf_student.client.config import ClientConfig
from tf_student.errors import ServerError

_CONNECTIONS = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}


class Connection:
    """Asks for PNGs by `POST /v1/models/<name>:predict`, and keeps its connection."""

    def __init__(self, config: ClientConfig):
        address = urllib.parse.urlsplit(config.server)
        self._server = config.server
        self._http = _CONNECTIONS[address.scheme](
            address.netloc, timeout=config.timeout
        )
        self._path = f"{address.path.rstrip('/')}/v1/models/{config.model}"
        if config.version:
            self._path += f"/versions/{config.version}"
        if config.label:
            self._path += f"/labels/{config.label}"

    def png(self, seed: int, count: int) -> list[bytes]:
        """The images of a seed, as PNG files.

        Raises:
            ServerError: if the server cannot be reached, or answers anything else.
        """
        # Scalars have no batch dimension, so they go by columns: "instances", the
        # format by rows, would make vectors of them.
        inputs = {"seed": seed, "count": count}
        # Its output's name ends in `_bytes`, which makes the server write base64.
        asked = {"signature_name": "png_json", "inputs": inputs}
        answer = self._post(f"{self._path}:predict", asked)
        try:
            return [
                base64.b64decode(value["b64"], validate=True)
                for value in answer["outputs"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"{self._server} answered without `outputs` of PNGs."
            ) from error

    def _post(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        try:
            self._http.request("POST", path, json.dumps(value), headers)
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
                f"{self._server} answered what is not JSON: {_reason(body)}"
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()


def _reason(body: bytes) -> str:
    """What an answer says went wrong, in one line."""
    text = body.decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"])
    except (json.JSONDecodeError, KeyError, TypeError):
        pass
    return " ".join(text.split())[:500]
