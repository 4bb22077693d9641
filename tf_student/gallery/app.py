"""The page and what it asks for, as a Flask application.

`GET /models` says what there is, `GET /sample` and `GET /interpolate` draw. Nothing
else is served, and nothing is read from disk after the start. Every refusal is JSON,
`{"error": "..."}`.
"""

import base64
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from typing import Protocol

import flask
from absl import logging
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from tf_student.gallery.request_queue import BusyError, Gate
from tf_student.runtime.errors import InputError

# Requests that may wait for the one that is served.
WAITING = 4
LARGEST_SEED = 2**63 - 1

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    # The page loads nothing from anywhere else, and nobody frames it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(?::[0-9]{1,5})?", re.IGNORECASE)


class Drawn(Protocol):
    """PNG files, and the seconds that the model took."""

    pngs: list[bytes]
    seconds: float


class Model(Protocol):
    """What draws; `shape` is `(height, width, channels)`, `limit` images of a call."""

    shape: tuple[int, int, int]
    limit: int | None

    def sample(self, seed: int, count: int) -> Drawn:
        """Images of a seed."""

    def interpolate(self, seed_a: int, seed_b: int, steps: int) -> Drawn:
        """A walk between the first images of two seeds."""


def make_app(
    models: Mapping[str, Model], *, hosts: Iterable[str], max_images: int
) -> flask.Flask:
    """The application.

    Args:
        models: `student`, `teacher` or both.
        hosts: names and addresses, without a port, that a request may be for. Any other
            is refused, so that a page of somebody else's, whose name is made to resolve
            to this machine, gets nothing (DNS rebinding).
        max_images: that one request may ask for, if no model's limit is lower.
    """
    app = flask.Flask(__name__, static_folder=None)
    # Another path is another path, not a redirection.
    app.url_map.merge_slashes = False
    trusted = frozenset(hosts)
    app.before_request(lambda: _refuse_foreigners(trusted))
    app.register_error_handler(Exception, _refusal)
    app.after_request(_add_headers)
    _add_files(app)
    limits = [model.limit for model in models.values() if model.limit]
    # A walk has two ends.
    _add_models(app, models, max(2, min([max_images, *limits])))
    return app


def _add_models(app: flask.Flask, models: Mapping[str, Model], max_images: int) -> None:
    gate = Gate(WAITING)

    @app.get("/models")
    def describe():
        shapes = {name: list(model.shape) for name, model in models.items()}
        return {"models": shapes, "max_images": max_images}

    @app.get("/sample")
    def sample():
        asked = Parameters(flask.request.args, "model", "seed", "count")
        model = models[asked.choice("model", models)]
        seed = asked.integer("seed", 0, LARGEST_SEED)
        count = asked.integer("count", 1, max_images)
        with gate.turn():
            return _answer(model.sample(seed, count))

    @app.get("/interpolate")
    def interpolate():
        asked = Parameters(flask.request.args, "model", "seed_a", "seed_b", "steps")
        model = models[asked.choice("model", models)]
        seeds = [asked.integer(s, 0, LARGEST_SEED) for s in ("seed_a", "seed_b")]
        steps = asked.integer("steps", 2, max_images)
        with gate.turn():
            return _answer(model.interpolate(*seeds, steps))


class Parameters:
    """The parameters of a query, each exactly once and no others."""

    def __init__(self, given: MultiDict, *names: str):
        if sorted(name for name, _ in given.items(multi=True)) != sorted(names):
            expected = ", ".join(names)
            flask.abort(400, f"The parameters must be, once each: {expected}.")
        self._given = given

    def choice(self, name: str, allowed: Iterable[str]) -> str:
        """One of a few words."""
        value = self._given[name]
        if value not in allowed:
            self._refuse(name, f"one of: {', '.join(allowed)}")
        return value

    def integer(self, name: str, least: int, most: int) -> int:
        """A decimal number of ASCII digits within the bounds."""
        value = self._given[name]
        # Python reads other scripts' digits, and takes long over a million of them.
        if not re.fullmatch("[0-9]{1,19}", value) or not least <= int(value) <= most:
            self._refuse(name, f"an integer from {least} to {most}")
        return int(value)

    def _refuse(self, name: str, expected: str) -> None:
        value = ascii(self._given[name][:40])
        flask.abort(400, f"`{name}` must be {expected}. Received: {name}={value}.")


def _answer(drawn: Drawn) -> dict:
    pngs = [base64.b64encode(png).decode() for png in drawn.pngs]
    return {"pngs": pngs, "milliseconds": 1000 * drawn.seconds}


def _add_files(app: flask.Flask) -> None:
    folder = importlib.resources.files("tf_student.gallery")
    for path, (name, kind) in _FILES.items():
        data = folder.joinpath(name).read_bytes()
        app.add_url_rule(
            path, name, lambda data=data, kind=kind: flask.Response(data, mimetype=kind)
        )


def _refuse_foreigners(trusted: frozenset[str]) -> None:
    match = _HOST.fullmatch(flask.request.headers.get("Host", ""))
    if not match or match[1].lower().rstrip(".") not in trusted:
        flask.abort(403, "This host is not served; --trusted_hosts names further ones.")
    # Browsers say where a request comes from; a link to the page may be anywhere.
    site = flask.request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") and flask.request.path != "/":
        flask.abort(403, "Pages of other sites are not answered.")
    if flask.request.content_length:
        flask.abort(413, "Requests must have no body.")


def _refusal(error: Exception) -> tuple[dict[str, str], int, dict[str, str]]:
    """Any error as JSON; one of the model's is logged and ends its request alone."""
    if isinstance(error, HTTPException):
        headers = {k: v for k, v in error.get_headers() if k == "Allow"}
        return {"error": error.description}, error.code, headers
    if isinstance(error, InputError):
        return {"error": str(error)}, 400, {}
    if isinstance(error, BusyError):
        text = f"Too many requests at once; {WAITING} are waiting already."
        return {"error": text}, 503, {"Retry-After": "5"}
    logging.error("%s: %s", flask.request.path, error)
    return {"error": "The model failed; the gallery's log says how."}, 500, {}


def _add_headers(response: flask.Response) -> flask.Response:
    response.headers.update(_HEADERS)
    return response
