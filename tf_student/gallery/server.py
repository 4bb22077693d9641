"""The command `gallery`: exported models in the browser."""

import logging
import socket
from collections.abc import Callable

import tensorflow as tf

from tf_student.gallery.exported_models import Model
from tf_student.gallery.gallery_config import GalleryConfig
from tf_student.runtime.errors import InputError

# More would wait in the page's gate; two are for the page itself.
_SPARE_THREADS = 2
_HEADER_BYTES = 16 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def open_models(
    teacher: str, student: str, *, teacher_required: bool
) -> dict[str, Model]:
    """Loads the student and, if it is there, the teacher.

    Args:
        teacher: directory of the teacher's export.
        student: directory of the student's.
        teacher_required: whether its absence is an error.

    Raises:
        InputError: if a model cannot be loaded, or the two draw different shapes.
    """
    models = {"student": Model(student)}
    if teacher_required or tf.io.gfile.exists(teacher):
        models["teacher"] = Model(teacher)
        shapes = {name: model.shape for name, model in models.items()}
        if len(set(shapes.values())) > 1:
            raise InputError(
                "`teacher_model` must draw images of the student's shape. Received: "
                f"teacher {shapes['teacher']}, student {shapes['student']}."
            )
    return models


def serve(
    open_models: Callable[[], dict[str, Model]],
    config: GalleryConfig,
    ready: Callable[[str], None],
) -> None:
    """Serves the page until it is interrupted.

    Args:
        open_models: gives the models; called once it is known that they can be shown.
        config: where, and how much at once.
        ready: is called with the page's address, once it can be opened.

    Raises:
        InputError: if the address is not to be had, or the extra is missing.
    """
    try:
        import waitress

        from tf_student.gallery import app
    except ModuleNotFoundError as error:
        raise InputError(
            "The page needs the extra `gallery`: pip install 'tf-student[gallery]'. "
            f"Missing: {error.name}."
        ) from error
    # Requests that wait are no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with _listen(config) as listening:
        page = app.make_app(
            open_models(), hosts=trusted_hosts(config), max_images=config.max_images
        )
        server = waitress.create_server(
            page,
            sockets=[listening],
            threads=1 + app.WAITING + _SPARE_THREADS,
            max_request_header_size=_HEADER_BYTES,
            max_request_body_size=1,
            ident=None,
        )
        ready(f"http://{_bracketed(config.host)}:{listening.getsockname()[1]}/")
        server.run()


def _listen(config: GalleryConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        reason = str(error.strerror or error).partition(" (while")[0]
        raise InputError(
            f"`host` and `port` must be free to listen on. Received: host="
            f"{config.host}, port={config.port}: {reason}."
        ) from error


def trusted_hosts(config: GalleryConfig) -> set[str]:
    """What a request may be for: this machine, what is listened on, what was named."""
    named = {_bracketed(n.strip()) for n in config.trusted_hosts.split(",")} - {""}
    listening = _bracketed(config.host)
    own = set()
    if listening not in _LOOPBACK:
        own = {listening, socket.gethostname(), socket.getfqdn()}
    return {name.lower() for name in {*_LOOPBACK, *own, *named}}


def _bracketed(host: str) -> str:
    """A host as it stands in a URL, where IPv6 addresses have brackets."""
    return f"[{host}]" if ":" in host and host[0] != "[" else host
