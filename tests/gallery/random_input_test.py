"""Random requests: all get an answer, and only valid ones reach a model."""

import urllib.parse

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gallery.fake_model import FakeModel
from tf_student.gallery import app

_MODEL = FakeModel()
_PAGE = app.make_app({"student": _MODEL}, hosts=["localhost"], max_images=8)
_STATUSES = {200, 400, 403, 404, 405, 413}

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_NUMBERS = st.integers(-(2**64), 2**64).map(str)
_SMALL = st.integers(-2, 10).map(str)
_NAMES = st.sampled_from(["model", "seed", "count", "seed_a", "seed_b", "steps"])
_VALUES = st.one_of(st.just("student"), _SMALL, _NUMBERS, _TEXT)
_PATHS = st.one_of(
    st.sampled_from(["/", "/models", "/page.js", "/../page.html", "/%2e%2e/app.py"]),
    _TEXT.map(lambda text: "/" + urllib.parse.quote(text, safe="")),
)
_QUERIES = st.one_of(
    st.lists(st.tuples(st.one_of(_NAMES, _TEXT), _VALUES), max_size=5).map(
        urllib.parse.urlencode
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60).map(
        lambda text: text.replace("#", "")
    ),
)
# Nearly valid queries, of which some reach the model.
_SAMPLE = st.fixed_dictionaries(
    {"model": st.just("student"), "seed": st.one_of(_SMALL, _NUMBERS), "count": _SMALL}
).map(urllib.parse.urlencode)
_INTERPOLATION = st.fixed_dictionaries(
    {"model": st.just("student"), "seed_a": _NUMBERS, "seed_b": _SMALL, "steps": _SMALL}
).map(urllib.parse.urlencode)
_TARGETS = st.one_of(
    st.tuples(_PATHS, _QUERIES),
    st.tuples(st.just("/sample"), st.one_of(_SAMPLE, _QUERIES)),
    st.tuples(st.just("/interpolate"), st.one_of(_INTERPOLATION, _QUERIES)),
)
_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
_HEADERS = st.fixed_dictionaries(
    {"Host": st.one_of(st.just("localhost"), st.just("localhost:8008"), _HEADER)},
    optional={
        name: _HEADER
        for name in ("Range", "Sec-Fetch-Site", "Accept", "Cookie", "X-Forwarded-Host")
    },
)


@settings(max_examples=400, derandomize=True, deadline=None, database=None)
@given(
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "BREW"]),
    target=_TARGETS,
    headers=_HEADERS,
    body=st.one_of(st.just(b""), st.binary(max_size=20)),
)
def test_every_request_has_an_answer(method, target, headers, body):
    _MODEL.calls.clear()
    path, query = target
    answer = _PAGE.test_client().open(
        path, query_string=query, method=method, headers=headers, data=body
    )
    assert answer.status_code in _STATUSES
    if answer.status_code >= 400 and method != "HEAD":
        assert list(answer.json) == ["error"]
    if answer.status_code >= 400:
        assert not _MODEL.calls
    for call, *numbers in _MODEL.calls:
        *seeds, count = numbers
        assert all(0 <= seed < 2**63 for seed in seeds)
        assert (1 if call == "sample" else 2) <= count <= 8


def test_some_of_them_reach_the_model():
    # Otherwise the bounds above would not be tested.
    reached = set()

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(query=st.one_of(_SAMPLE, _INTERPOLATION))
    def ask(query):
        path = "/sample" if "count" in query else "/interpolate"
        answer = _PAGE.test_client().get(
            path, query_string=query, headers={"Host": "localhost"}
        )
        reached.add((path, answer.status_code))

    ask()
    assert reached == {(p, s) for p in ("/sample", "/interpolate") for s in (200, 400)}
