"""The command `gallery`: exported models in the browser."""

import logging
import socket
from collections.abc import Callable, Collection
from typing import Any

import tensorflow as tf

from tf_student.gallery import exported_models
from tf_student.gallery.exported_models import ExportedModel
from tf_student.gallery.gallery_config import GalleryConfig
from tf_student.runtime.errors import InputError

# Two threads serve the page itself while requests run and wait in the queue.
_PAGE_THREADS = 2
_HEADER_BYTES = 16 * 1024
# Open connections. Below the 1024 files that a process may usually open.
_CONNECTIONS = 500
# For a request to arrive whole, and then for its answer to be read. The model's own
# time does not count.
_SECONDS = 20
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def open_models(
    teacher: str, student: str, matched: str = "", *, required: Collection[str] = ()
) -> dict[str, ExportedModel]:
    """Loads the student and, if they exist, the matched student and the teacher.

    Args:
        teacher: directory of the teacher's export.
        student: directory of the student's export.
        matched: directory of the matched student's export.
        required: those of `matched` and `teacher` whose absence is an error.

    Returns:
        The models by name: `student`, `matched` and `teacher`.

    Raises:
        InputError: if a model cannot be loaded, or the models draw images of different
            shapes.

    Example:

    >>> from tf_student.gallery.server import open_models
    >>> list(open_models("none", "runs/digits/export"))
    ['student']
    """
    for name, directory in (("matched", matched), ("teacher", teacher)):
        if name in required:
            # Before any model is loaded, which takes seconds.
            exported_models.find(directory)
    models = {"student": ExportedModel(student)}
    for name, directory in (("matched", matched), ("teacher", teacher)):
        if name in required or (directory and tf.io.gfile.exists(directory)):
            models[name] = ExportedModel(directory)
            shape = models[name].shape
            if shape != models["student"].shape:
                raise InputError(
                    f"`{name}_model` must draw images of the student's shape. "
                    f"Received: {name} {shape}, student {models['student'].shape}."
                )
    return models


def serve(
    open_models: Callable[[], dict[str, ExportedModel]],
    config: GalleryConfig,
    ready: Callable[[str], None],
) -> None:
    """Serves the page until it is interrupted.

    Args:
        open_models: loads the models; called when the address is known to be free.
        config: the address and the limits.
        ready: called with the URL of the page as soon as browsers can open it.

    Raises:
        InputError: if the address is not free, or the extra `gallery` is missing.
    """
    try:
        import waitress  # noqa: F401

        from tf_student.gallery import app
    except ModuleNotFoundError as error:
        raise InputError(
            "The page needs the extra `gallery`: pip install 'tf-student[gallery]'. "
            f"Missing: {error.name}."
        ) from error
    # waitress warns of every request that waits, which is normal here.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with _listen(config) as listening:
        page = app.make_app(
            open_models(), hosts=trusted_hosts(config), max_images=config.max_images
        )
        server = make_server(page, listening)
        ready(f"http://{_bracketed(config.host)}:{listening.getsockname()[1]}/")
        server.run()


def make_server(page: Any, listening: socket.socket, *, seconds: int = _SECONDS) -> Any:
    """Creates the server, which bounds the number and the time of connections.

    Args:
        page: the application.
        listening: a socket that listens.
        seconds: for a request to arrive whole, and for its answer to be read.

    Returns:
        A server of waitress; `run()` serves until it is interrupted.
    """
    import waitress

    from tf_student.gallery import app, bounded_channel

    server = waitress.create_server(
        page,
        sockets=[listening],
        threads=1 + app.WAITING + _PAGE_THREADS,
        max_request_header_size=_HEADER_BYTES,
        max_request_body_size=1,
        connection_limit=_CONNECTIONS,
        backlog=_CONNECTIONS,
        channel_timeout=seconds,
        cleanup_interval=1,
        # A thread would wait for a slow reader of a longer answer.
        outbuf_high_watermark=2**30,
        # `select` does not support many connections.
        asyncore_use_poll=True,
        ident=None,
    )
    server.channel_class = bounded_channel.BoundedChannel
    return server


def _listen(config: GalleryConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    # A host that is no text of a network's is a TypeError or a UnicodeError.
    except (OSError, TypeError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise InputError(
            f"`host` and `port` must be free to listen on. Received: host="
            f"{config.host}, port={config.port}: {reason}."
        ) from error


def trusted_hosts(config: GalleryConfig) -> set[str]:
    """The hosts that requests may name, in lower case.

    They are the loopback names, `config.trusted_hosts`, and, if the server listens on
    another address, that address and the names of this machine.
    """
    named = {_bracketed(n.strip()) for n in config.trusted_hosts.split(",")} - {""}
    listening = _bracketed(config.host)
    own = set()
    if listening not in _LOOPBACK:
        own = {listening, socket.gethostname(), socket.getfqdn()}
    return {name.lower() for name in {*_LOOPBACK, *own, *named}}


def _bracketed(host: str) -> str:
    """The host in the form of a URL, in which IPv6 addresses have brackets."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host
