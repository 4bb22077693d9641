"""Random requests to the gallery, over sockets, and what every answer must be."""

import dataclasses
import json
import os
import sys
import urllib.parse
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.gallery import attack
from tf_student.gallery import app

# Headers after which the server may wait for more of a request.
_OPEN = ("content-length", "transfer-encoding", "expect")
# Nothing of the machine or of the code.
_LEAKS = (
    b"Traceback",
    b'File "',
    os.getcwd().encode(),
    sys.prefix.encode(),
    b"site-packages",
)


@dataclasses.dataclass(frozen=True)
class Request:
    """Nearly a request.

    Attributes:
        method: such as `GET`.
        target: path and query.
        headers: names and values.
        version: of HTTP.
        body: follows the headers.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    version: str
    body: bytes

    @property
    def whole(self) -> bool:
        """Whether a server knows that nothing else follows."""
        return not any(name.lower() in _OPEN for name, _ in self.headers)

    @property
    def raw(self) -> bytes:
        """The bytes to send."""
        lines = [f"{self.method} {self.target} HTTP/{self.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "\r\n".join([*lines, "Connection: close", "\r\n"])
        return head.encode("latin-1", "replace") + self.body


_ROUTES = [
    rule.rule for rule in app.make_app({}, hosts=[], max_images=2).url_map.iter_rules()
]
_PARAMETERS = {
    "/sample": ("model", "seed", "count"),
    "/interpolate": ("model", "seed_a", "seed_b", "steps"),
}
_SMALL = st.integers(-2, 10).map(str)
_INTEGERS = st.integers(-(2**64), 2**64).map(str)
_LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_VALUES = st.one_of(st.sampled_from(["student", "teacher"]), _SMALL, _INTEGERS, _TEXT)
_NAMES = st.sampled_from([*sum(_PARAMETERS.values(), ()), "label"])


def _nearly_valid(path: str) -> st.SearchStrategy[str]:
    """Targets of a route, of which some reach a model."""
    valid = st.integers(2, 8).map(str)
    numbers = st.one_of(valid, valid, valid, valid, _SMALL, _INTEGERS)
    parameters = dict.fromkeys(_PARAMETERS[path], numbers)
    parameters["model"] = st.sampled_from(["student", "student", "teacher"])
    labels = st.sampled_from(["0", "1", "2", "0", "-1", "3", "x"])
    queries = st.fixed_dictionaries(parameters, optional={"label": labels})
    return queries.map(lambda query: f"{path}?{urllib.parse.urlencode(query)}")


_QUERIES = st.one_of(
    st.lists(st.tuples(st.one_of(_NAMES, _TEXT), _VALUES), max_size=5).map(
        urllib.parse.urlencode
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=60),
)
_PATHS = st.one_of(
    st.sampled_from([*_ROUTES, "//", "*", "/../page.html", "/%2e%2e/app.py", "/a%00"]),
    _TEXT.map(lambda text: "/" + urllib.parse.quote(text, safe="")),
)
_TARGETS = st.one_of(
    *map(_nearly_valid, _PARAMETERS),
    st.sampled_from(_ROUTES),
    st.tuples(_PATHS, _QUERIES).map("?".join),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=60),
)


def _header(name: str, *values: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(name), st.one_of(st.sampled_from(values), _LATIN))


_HOSTS = ("localhost", "localhost:8008", "[::1]", "evil.example", "localhost.evil", "")
_UNUSUAL = st.one_of(
    _header("Host", *_HOSTS),
    _header("Origin", "null", "http://localhost", "https://evil.example"),
    _header("Sec-Fetch-Site", "cross-site", "same-site", "same-origin", "none"),
    _header("Content-Length", "0", "1", "-1", str(2**64)),
    _header("Transfer-Encoding", "chunked", "identity"),
    _header("Expect", "100-continue"),
    *map(_header, ("Range", "Accept", "Cookie", "X-Forwarded-Host"), "aaaa"),
)
_LOCAL = ("Host", "localhost")
_HEADERS = st.one_of(
    st.just([_LOCAL]),
    _UNUSUAL.map(lambda header: [_LOCAL, header]),
    st.lists(_UNUSUAL, max_size=3),
)
_WRITTEN = st.builds(
    Request,
    st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"]),
    _TARGETS,
    _HEADERS,
    st.sampled_from(["1.1", "1.1", "1.0", "1.2", "9"]),
    st.one_of(st.just(b""), st.binary(max_size=20)),
)
REQUESTS = st.one_of(_WRITTEN, _WRITTEN, _WRITTEN, st.binary(min_size=1, max_size=200))


def check(request: Request | bytes, answer: bytes) -> int | None:
    """Checks an answer, and returns its status; None without an answer."""
    if not answer:
        assert isinstance(request, bytes) or not request.whole, request
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    # A server that does not know the encoding of a body must say so by 501.
    encoded = not isinstance(request, Request) or not request.whole
    assert status < 500 or status == 503 or (status == 501 and encoded), request
    assert not any(leak in answer for leak in _LEAKS), (request, answer)
    if status >= 400 and b"application/json" in head and body:
        assert list(json.loads(body)) == ["error"], (request, answer)
    return status


def send(
    port: int,
    number: int,
    examples: int,
    then: Callable[[Request | bytes, int | None], None],
) -> None:
    """Sends random requests and checks their answers.

    Args:
        port: of the gallery.
        number: seed.
        examples: number of requests.
        then: called with each request and the status of its answer, if it has one.
    """

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(request=REQUESTS)
    def run(request: Request | bytes) -> None:
        raw, whole = request, False
        if isinstance(request, Request):
            raw, whole = request.raw, request.whole
        # Bytes that are no whole request may get no answer.
        answer = attack.answer(port, raw, 10.0 if whole else 0.05)
        then(request, check(request, answer))

    run()
