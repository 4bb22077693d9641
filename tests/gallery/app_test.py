import base64
import re
import threading

import pytest

from tests.gallery.fake_model import FakeModel
from tf_student.gallery import app
from tf_student.runtime.errors import InputError

BASE = "http://localhost:8008"


@pytest.fixture
def models():
    return {"student": FakeModel(), "teacher": FakeModel()}


@pytest.fixture
def page(models):
    return app.make_app(models, hosts=["localhost", "127.0.0.1", "[::1]"], max_images=8)


@pytest.fixture
def client(page):
    return page.test_client()


def _error(answer, status):
    assert answer.status_code == status
    assert list(answer.json) == ["error"]
    return answer.json["error"]


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("/", "text/html; charset=utf-8", b"<title>tf-student gallery</title>"),
        ("/page.js", "text/javascript; charset=utf-8", b'"use strict";'),
        ("/page.css", "text/css; charset=utf-8", b":root {"),
    ],
)
def test_page_is_three_files(client, path, kind, part):
    answer = client.get(path, base_url=BASE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert part in answer.data


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css"])
def test_page_requests_nothing_from_other_sites(client, path):
    text = client.get(path, base_url=BASE).text
    without_comments = re.sub(r"(?m)^ *// .*$", "", text)
    assert "//" not in without_comments and "@import" not in without_comments


@pytest.mark.parametrize("path", ["/", "/models", "/nowhere"])
def test_headers_forbid_browsers_to_load_anything_else(client, path):
    headers = client.get(path, base_url=BASE).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_models_are_described(client):
    assert client.get("/models", base_url=BASE).json == {
        "models": {"student": [8, 8, 3], "teacher": [8, 8, 3]},
        "max_images": 8,
        "classes": {"student": 0, "teacher": 0},
    }


def test_lowest_limit_of_the_models_is_the_limit_of_the_page(models):
    models["teacher"] = FakeModel(limit=4)
    page = app.make_app(models, hosts=["localhost"], max_images=8)
    client = page.test_client()
    assert client.get("/models", base_url=BASE).json["max_images"] == 4
    for name in models:
        answer = client.get(f"/sample?model={name}&seed=0&count=5", base_url=BASE)
        assert "`count` must be an integer from 1 to 4." in _error(answer, 400)


def test_higher_limit_of_a_model_is_ignored(models):
    models["student"] = FakeModel(limit=1024)
    page = app.make_app(models, hosts=["localhost"], max_images=8)
    answer = page.test_client().get("/models", base_url=BASE)
    assert answer.json["max_images"] == 8


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_seed_is_drawn_by_the_requested_model(client, models, name):
    query = {"model": name, "seed": str(2**63 - 1), "count": "2"}
    answer = client.get("/sample", query_string=query, base_url=BASE)
    assert models[name].calls == [("sample", 2**63 - 1, 2)]
    assert sum(len(model.calls) for model in models.values()) == 1
    assert answer.json == {
        "pngs": [base64.b64encode(b"%d-%d" % (2**63 - 1, i)).decode() for i in (0, 1)],
        "milliseconds": 500.0,
    }


def test_interpolation_is_drawn(client, models):
    query = {"model": "teacher", "seed_a": "3", "seed_b": "4", "steps": "2"}
    answer = client.get("/interpolate", query_string=query, base_url=BASE)
    assert models["teacher"].calls == [("interpolate", 3, 4, 2)]
    assert [base64.b64decode(png) for png in answer.json["pngs"]] == [
        b"3-4-0",
        b"3-4-1",
    ]
    assert answer.json["milliseconds"] == 250.0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "",
            "The parameters must be, each of them once: model, seed, count, and "
            "perhaps label.",
        ),
        ("model=student&seed=1", "each of them once"),
        ("model=student&seed=1&count=2&count=3", "each of them once"),
        ("model=student&seed=1&count=2&size=3", "each of them once"),
        ("model=pupil&seed=1&count=2", "`model` must be one of: student, teacher."),
        ("model=student&seed=1&count=0", "integer from 1 to 8. Received: count='0'."),
        ("model=student&seed=1&count=-1", "Received: count='-1'."),
        ("model=student&seed=1&count=9", "Received: count='9'."),
        ("model=student&seed=1&count=10000000", "Received: count='10000000'."),
        ("model=student&seed=1&count=1e0", "Received: count='1e0'."),
        ("model=student&seed=1&count=%D9%A3", r"Received: count='\u0663'."),
        ("model=student&seed=1&count=%00", r"Received: count='\x00'."),
        ("model=student&seed=1&count=%FF", "Received: count="),
        ("model=student&seed=-1&count=1", "`seed` must be an integer from 0 to"),
        ("model=student&seed=9223372036854775808&count=1", "`seed` must be"),
        (f"model=student&seed={'9' * 9999}&count=1", f"seed='{'9' * 40}'."),
        ("model=student&seed=&count=1", "Received: seed=''."),
        ("model=../student&seed=1&count=1", "Received: model='../student'."),
    ],
)
def test_wrong_parameter_is_named(client, models, query, message):
    assert message in _error(client.get(f"/sample?{query}", base_url=BASE), 400)
    assert not models["student"].calls


@pytest.mark.parametrize("steps", ["1", "9"])
def test_interpolation_has_2_to_8_images(client, steps):
    query = f"model=student&seed_a=0&seed_b=1&steps={steps}"
    answer = client.get(f"/interpolate?{query}", base_url=BASE)
    assert "`steps` must be an integer from 2 to 8" in _error(answer, 400)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8008", "LocalHost", "127.0.0.1:1", "[::1]:8008"]
)
def test_own_hosts_are_served(client, host):
    assert client.get("/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8008",
        "localhost.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "localhost:80:80",
        "localhost:",
        "127.0.0.2",
        "[::2]",
        "::1",
        "",
        " ",
        "localhost, evil.example",
    ],
)
@pytest.mark.parametrize("path", ["/", "/models", "/nowhere"])
def test_foreign_hosts_are_refused(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert "This host is not trusted" in _error(answer, 403)


@pytest.mark.parametrize(
    ("site", "path", "status"),
    [
        ("cross-site", "/models", 403),
        ("same-site", "/models", 403),
        ("same-origin", "/models", 200),
        ("none", "/models", 200),
        # Another site may link the page.
        ("cross-site", "/", 200),
    ],
)
def test_requests_from_other_sites_are_refused(client, site, path, status):
    headers = {"Sec-Fetch-Site": site}
    assert client.get(path, base_url=BASE, headers=headers).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/..",
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/app.py",
        "/page.html",
        "/static/page.js",
        "/models/",
        "/page.js/..",
        "/page.js%00",
        "/%ff",
        "/app.py",
        "/C:\\windows",
    ],
)
def test_other_paths_are_not_found(client, path):
    _error(client.get(path, base_url=BASE), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "SING"])
def test_only_get_is_allowed(client, models, method):
    query = "model=student&seed=1&count=2"
    answer = client.open(f"/sample?{query}", method=method, base_url=BASE)
    _error(answer, 405)
    assert "GET" in answer.headers["Allow"]
    assert not models["student"].calls


def test_body_is_refused(client):
    _error(client.get("/models", base_url=BASE, data=b"x"), 413)


def test_failing_model_fails_only_its_request(models, page, client):
    def fail():
        raise MemoryError("2 TiB")

    models["teacher"] = FakeModel(fail)
    query = "seed=1&count=1"
    answer = client.get(f"/sample?model=teacher&{query}", base_url=BASE)
    assert _error(answer, 500) == "The model failed; the gallery's log has the error."
    answer = client.get(f"/sample?model=student&{query}", base_url=BASE)
    assert answer.status_code == 200


def test_error_of_the_model_is_the_answer(models, client):
    def refuse():
        raise InputError("`count` must be 1 to 4.")

    models["teacher"] = FakeModel(refuse)
    answer = client.get("/sample?model=teacher&seed=1&count=5", base_url=BASE)
    assert _error(answer, 400) == "`count` must be 1 to 4."


def test_one_request_runs_a_few_wait_and_the_others_are_refused(models, page):
    release, at_once, most = threading.Event(), [], []

    def wait():
        at_once.append(1)
        most.append(len(at_once))
        release.wait(30)
        at_once.pop()

    models["student"] = FakeModel(wait)
    statuses, done = [], threading.Semaphore(0)

    def ask():
        url = "/sample?model=student&seed=1&count=1"
        statuses.append(page.test_client().get(url, base_url=BASE).status_code)
        done.release()

    threads = [threading.Thread(target=ask) for _ in range(app.WAITING + 4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert done.acquire(timeout=30)
    assert statuses == [503] * 3
    release.set()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * (1 + app.WAITING) + [503] * 3
    assert max(most) == 1
