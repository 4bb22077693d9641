"""The command `client`: images from a model server."""

import importlib
import os
import uuid

from tf_student.client import benchmark
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def fetch_images(
    directory: str, *, config: ClientConfig = ClientConfig()
) -> benchmark.Load:
    """Sends requests to a server and keeps the first one's images.

    Args:
        directory: gets `seed<seed>_<number>.png`; a local one.
        config: of the server and the requests.

    Raises:
        InputError: if gRPC is asked for and not installed.
        ServerError: if the server refuses a request or does not answer.
    """
    module = _protocol(config.server.partition("://")[0])
    load = benchmark.run(lambda: module.Connection(config), config)
    if len(load.pngs) != config.count:
        raise ServerError(
            f"{config.server} gave {len(load.pngs)} images, asked for {config.count}."
        )
    if not all(png.startswith(_SIGNATURE) for png in load.pngs):
        raise ServerError(f"{config.server} gave something else than PNGs.")
    os.makedirs(directory, exist_ok=True)
    for number, png in enumerate(load.pngs):
        _write(os.path.join(directory, f"seed{config.seed}_{number:04d}.png"), png)
    return load


def _protocol(scheme: str):
    """The module that speaks it; REST needs neither TensorFlow nor gRPC."""
    name = "rpc" if scheme.startswith("grpc") else "rest"
    try:
        return importlib.import_module(f"tf_student.client.{name}")
    except ModuleNotFoundError as error:
        raise InputError(
            f"gRPC needs the extra `serving`: pip install 'tf-student[serving]'. "
            f"Missing: {error.name}."
        ) from error


# As files.replacing does, which needs TensorFlow.
def _write(path: str, data: bytes) -> None:
    temporary = f"{path}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
