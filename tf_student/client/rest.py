"""A connection to TF Serving's REST interface.

It needs only the standard library, and NumPy and Pillow for requests with noise.
"""

import base64
from typing import Any

from tf_student.client import limits
from tf_student.client.bounded_http import BoundedHttp
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import ServerError


class Connection:
    """Requests images by `POST /v1/models/<name>:predict` in a lasting connection.

    Args:
        config: the server and the model.

    Raises:
        InputError: if `ca_file` has no certificates, or labels do not fit the model.
        ServerError: if the server does not describe the model's images, or they are too
            large.
    """

    def __init__(self, config: ClientConfig):
        self._server, self._count = config.server, config.count
        self._sends_noise = config.signature == "serving_default"
        self._http = BoundedHttp(config.server, config.timeout, config.ca_file)
        self._path = f"/v1/models/{config.model}"
        if config.version:
            self._path += f"/versions/{config.version}"
        if config.label:
            self._path += f"/labels/{config.label}"
        try:
            inputs = self._read_inputs()
            self._shape = self._image_shape(inputs)
            self._labels = config.image_labels("labels" in inputs)
        except BaseException:
            self.close()
            raise

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
        limits.check_pngs(pngs, count, self._shape, self._server)
        return pngs

    def _from_noise(self, seed: int, count: int) -> list[bytes]:
        from tf_student.client import arrays

        noise = arrays.noise(seed, count, self._shape).tolist()
        limit = limits.list_bytes(count, self._shape)
        inputs = {"noise": noise, **self._chosen(count)}
        outputs = self._predict("serving_default", inputs, limit)
        images = arrays.from_lists(outputs, count, self._shape, self._server)
        return arrays.pngs(images)

    def _from_seed(self, seed: int, count: int) -> list[bytes]:
        limit = limits.base64_bytes(count, self._shape)
        # The output's name ends in `_bytes`, which makes the server use base64.
        many: dict[str, Any] = self._chosen(count) or {"count": count}
        outputs = self._predict("png_json", {"seed": seed, **many}, limit)
        try:
            return [base64.b64decode(v["b64"], validate=True) for v in outputs]
        except (KeyError, TypeError, ValueError) as error:
            raise ServerError(
                f"{self._server} must return PNGs as `outputs`."
            ) from error

    def _chosen(self, count: int) -> dict[str, list[int]]:
        """The labels as an input, if the model has classes."""
        return {} if self._labels is None else {"labels": self._labels[:count]}

    def _read_inputs(self) -> dict[str, Any]:
        """The inputs of `serving_default` by name, from the model's metadata."""
        answer = self._http.request(
            "GET", f"{self._path}/metadata", limit=limits.MAX_DESCRIPTION
        )
        try:
            signatures = answer["metadata"]["signature_def"]["signature_def"]
            return dict(signatures["serving_default"]["inputs"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._without_noise() from error

    def _image_shape(self, inputs: dict[str, Any]) -> limits.Shape:
        try:
            spec = inputs["noise"]["tensor_shape"]
            sizes = [dimension["size"] for dimension in spec["dim"]]
        except (KeyError, TypeError) as error:
            raise self._without_noise() from error
        return limits.image_shape(sizes, self._count, self._server)

    def _without_noise(self) -> ServerError:
        return ServerError(
            f"{self._server} must have the signature `serving_default` with the input "
            "`noise`."
        )

    def _predict(self, signature: str, inputs: dict[str, Any], limit: int) -> Any:
        # `inputs` is the format by columns. `instances`, the format by rows, would turn
        # scalars into vectors, because it adds a batch dimension.
        request = {"signature_name": signature, "inputs": inputs}
        answer = self._http.request(
            "POST", f"{self._path}:predict", request, limit=limit
        )
        return answer.get("outputs") if isinstance(answer, dict) else None

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()
