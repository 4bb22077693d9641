"""The page and its requests, as a Flask application.

`GET /models` describes the models; `GET /sample` and `GET /interpolate` draw images.
The application serves nothing else and reads no files after its start. The body of an
error is JSON, `{"error": "..."}`.
"""

import base64
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from typing import Protocol

import flask
from absl import logging
from werkzeug.exceptions import HTTPException

from tf_student.gallery.request_queue import BusyError, RequestQueue
from tf_student.runtime.errors import InputError

# Largest number of requests that wait while another one runs.
WAITING = 4
LARGEST_SEED = 2**63 - 1

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    # The page loads nothing from other sites, and other sites cannot frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?", re.IGNORECASE)


class TimedImages(Protocol):
    """Images of a model as PNG files, and the seconds that the model took."""

    @property
    def pngs(self) -> list[bytes]:
        """The images."""

    @property
    def seconds(self) -> float:
        """The time of the model."""


class Model(Protocol):
    """A model that the page shows.

    Attributes:
        shape: `(height, width, channels)` of an image.
        limit: largest number of images in a call; None if it is unknown.
        classes: number of classes; 0: the model has none.
    """

    shape: tuple[int, int, int]
    limit: int | None
    classes: int

    def sample(self, seed: int, count: int, label: int) -> TimedImages:
        """Draws images of a seed and a class; label -1: of any class."""

    def interpolate(
        self, seed_a: int, seed_b: int, steps: int, label: int
    ) -> TimedImages:
        """Draws an interpolation between the first images of two seeds."""


def make_app(
    models: Mapping[str, Model], *, hosts: Iterable[str], max_images: int
) -> flask.Flask:
    """Creates the application.

    Args:
        models: by name: `student`, `matched`, `teacher` or some of them.
        hosts: names and addresses, without a port, that the Host header may have.
            Requests for other hosts are refused, which protects against DNS rebinding:
            another site's name that resolves to this machine.
        max_images: largest number of images in a request, unless a model's limit is
            lower.
    """
    app = flask.Flask(__name__, static_folder=None)
    # Paths with double slashes are errors, not redirections.
    app.url_map.merge_slashes = False
    trusted = frozenset(hosts)
    app.before_request(lambda: _check_origin(trusted))
    app.register_error_handler(Exception, _answer_error)
    app.after_request(_add_headers)
    _add_files(app)
    limits = [model.limit for model in models.values() if model.limit]
    # An interpolation has two ends.
    _add_models(app, models, max(2, min([max_images, *limits])))
    return app


def _add_models(app: flask.Flask, models: Mapping[str, Model], max_images: int) -> None:
    queue = RequestQueue(WAITING)

    @app.get("/models")
    def describe():
        shapes = {name: list(model.shape) for name, model in models.items()}
        classes = {name: model.classes for name, model in models.items()}
        return {"models": shapes, "max_images": max_images, "classes": classes}

    @app.get("/sample")
    def sample():
        parameters = Parameters("model", "seed", "count", optional="label")
        model = models[parameters.choice("model", models)]
        seed = parameters.integer("seed", 0, LARGEST_SEED)
        count = parameters.integer("count", 1, max_images)
        label = parameters.label(model.classes)
        with queue.turn():
            return _answer(model.sample(seed, count, label))

    @app.get("/interpolate")
    def interpolate():
        parameters = Parameters("model", "seed_a", "seed_b", "steps", optional="label")
        model = models[parameters.choice("model", models)]
        seeds = [parameters.integer(s, 0, LARGEST_SEED) for s in ("seed_a", "seed_b")]
        steps = parameters.integer("steps", 2, max_images)
        label = parameters.label(model.classes)
        with queue.turn():
            return _answer(model.interpolate(*seeds, steps, label))


class Parameters:
    """The parameters of the request: the expected names, each of them once.

    Args:
        *names: that must be given.
        optional: another one, which may be given.
    """

    def __init__(self, *names: str, optional: str):
        query = flask.request.args
        given = sorted(name for name, _ in query.items(multi=True))
        if given not in (sorted(names), sorted([*names, optional])):
            expected = ", ".join(names)
            flask.abort(
                400,
                f"The parameters must be, each of them once: {expected}, and perhaps "
                f"{optional}.",
            )
        self._query = query

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        """The value of a parameter with a few allowed values."""
        value = self._query[name]
        if value not in allowed:
            self._refuse(name, f"one of: {', '.join(allowed)}")
        return value

    def integer(self, name: str, least: int, most: int) -> int:
        """The value of a parameter that is an integer from `least` to `most`."""
        value = self._query[name]
        # int() accepts the digits of other scripts, and is slow for very many digits.
        if not re.fullmatch("[0-9]{1,19}", value) or not least <= int(value) <= most:
            self._refuse(name, f"an integer from {least} to {most}")
        return int(value)

    def label(self, classes: int) -> int:
        """The class, if one is given, and -1 otherwise."""
        if "label" not in self._query:
            return -1
        if not classes:
            flask.abort(400, "`label` must not be given for a model without classes.")
        return self.integer("label", 0, classes - 1)

    def _refuse(self, name: str, expected: str) -> None:
        value = ascii(self._query[name][:40])
        flask.abort(400, f"`{name}` must be {expected}. Received: {name}={value}.")


def _answer(images: TimedImages) -> dict:
    pngs = [base64.b64encode(png).decode() for png in images.pngs]
    return {"pngs": pngs, "milliseconds": 1000 * images.seconds}


def _add_files(app: flask.Flask) -> None:
    folder = importlib.resources.files("tf_student.gallery")
    for path, (name, kind) in _FILES.items():
        data = folder.joinpath(name).read_bytes()
        app.add_url_rule(
            path, name, lambda data=data, kind=kind: flask.Response(data, mimetype=kind)
        )


def _check_origin(trusted: frozenset[str]) -> None:
    match = _HOST.fullmatch(flask.request.headers.get("Host", ""))
    if not match or match[1].lower().rstrip(".") not in trusted:
        flask.abort(403, "This host is not trusted; see --trusted_hosts.")
    # Browsers send the site that a request comes from. Other sites may link the page.
    site = flask.request.headers.get("Sec-Fetch-Site", "none")
    origin = flask.request.headers.get("Origin")
    foreign = origin is not None and not _is_origin(origin, flask.request.host)
    foreign |= site not in ("none", "same-origin")
    if foreign and flask.request.path != "/":
        flask.abort(403, "Requests from other sites are refused.")
    if flask.request.content_length:
        flask.abort(413, "Requests must have no body.")


def _is_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the host; a proxy may change http to https."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _answer_error(error: Exception) -> tuple[dict[str, str], int, dict[str, str]]:
    """The answer to a request that failed; errors of a model are also logged."""
    if isinstance(error, HTTPException):
        headers = {k: v for k, v in error.get_headers() if k == "Allow"}
        return {"error": error.description or error.name}, error.code or 500, headers
    if isinstance(error, InputError):
        return {"error": str(error)}, 400, {}
    if isinstance(error, BusyError):
        text = f"The queue is full: {WAITING} requests are waiting already."
        return {"error": text}, 503, {"Retry-After": "5"}
    logging.error("%s: %s", flask.request.path, error)
    return {"error": "The model failed; the gallery's log has the error."}, 500, {}


def _add_headers(response: flask.Response) -> flask.Response:
    response.headers.update(_HEADERS)
    return response
