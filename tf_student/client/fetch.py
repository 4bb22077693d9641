"""The command `client`: images from a model server."""

import contextlib
import importlib
import os
import re
from collections.abc import Iterator
from types import ModuleType

from tf_student.client import benchmark
from tf_student.client.client_config import ClientConfig
from tf_student.runtime import atomic
from tf_student.runtime.errors import InputError

_FILE = re.compile(r"seed\d+_\d{4,}\.png")


def fetch_images(
    directory: str, *, config: ClientConfig = ClientConfig()
) -> benchmark.LoadResult:
    """Requests images from a server and saves those of the first request.

    Args:
        directory: local directory that gets `seed<seed>_<number>.png`.
        config: the server and the requests.

    Returns:
        The images of the first request and the latencies of all requests.

    Raises:
        InputError: if the server is a gRPC server and the extra `serving` is missing.
        ServerError: if the server refuses a request, does not answer in time, or sends
            something else than these images. Nothing is saved.

    Example:

    >>> from tf_student.client.fetch import fetch_images
    >>> fetch_images("runs/digits/served").percentile(90)  # doctest: +SKIP
    0.0123
    """
    protocol = _import_protocol(config.server.partition("://")[0])
    with _making(directory):
        result = benchmark.run(lambda: protocol.Connection(config), config)
    _remove_leftovers(directory)
    for number, png in enumerate(result.pngs):
        name = f"seed{config.seed}_{number:04d}.png"
        atomic.write_bytes(os.path.join(directory, name), png)
    return result


@contextlib.contextmanager
def _making(directory: str) -> Iterator[None]:
    """Makes the directory, and removes it again if the block fails."""
    missing, parent = [], directory
    while parent and not os.path.exists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    os.makedirs(directory, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise


def _remove_leftovers(directory: str) -> None:
    """Removes temporary files of killed clients."""
    for name in os.listdir(directory):
        if _FILE.fullmatch(atomic.final_name(name)):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(directory, name))


def _import_protocol(scheme: str) -> ModuleType:
    """The module for a URL's scheme; REST needs neither TensorFlow nor gRPC."""
    name = "rpc" if scheme.startswith("grpc") else "rest"
    try:
        return importlib.import_module(f"tf_student.client.{name}")
    except ModuleNotFoundError as error:
        raise InputError(
            "gRPC needs the extra `serving`: pip install 'tf-student[serving]'. "
            f"Missing: {error.name}."
        ) from error
