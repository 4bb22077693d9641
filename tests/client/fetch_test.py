import sys

import pytest

from tests.client import model_server, saved_models
from tf_student.client import fetch
from tf_student.client.client_config import ClientConfig
from tf_student.runtime.errors import InputError, ServerError


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    path = saved_models.write(tmp_path_factory.mktemp("model") / "1")
    with model_server.serving("digits", {1: path}, {}) as addresses:
        yield addresses


@pytest.mark.parametrize("protocol", ["rest", "rpc"])
def test_images_of_the_first_request_are_saved(addresses, protocol, tmp_path, contents):
    config = ClientConfig(server=addresses[protocol], seed=9, count=3, requests=5)
    result = fetch.fetch_images(str(tmp_path / "served"), config=config)
    assert len(result.latencies) == 5
    assert contents(tmp_path / "served") == {
        f"seed9_{number:04d}.png": png for number, png in enumerate(result.pngs)
    }
    assert len(set(result.pngs)) == 3


def test_what_a_killed_client_left_is_removed(addresses, tmp_path):
    left = tmp_path / "seed7_0000.png.tmp-0123abcd"
    other = tmp_path / "cat.png.tmp-0123abcd"
    for path in (left, other):
        path.write_text("half")
    config = ClientConfig(server=addresses["rest"], count=2)
    fetch.fetch_images(str(tmp_path), config=config)
    assert not left.exists() and other.exists()


def test_nothing_is_saved_after_a_refusal(addresses, tmp_path):
    config = ClientConfig(server=addresses["rest"], model="faces")
    with pytest.raises(ServerError):
        fetch.fetch_images(str(tmp_path / "served"), config=config)
    assert list(tmp_path.iterdir()) == []


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "tf_student.client.rpc", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    config = ClientConfig(server="grpc://127.0.0.1:8500")
    with pytest.raises(InputError, match=r"pip install 'tf-student\[serving\]'"):
        fetch.fetch_images("nowhere", config=config)


def test_a_place_that_is_a_file_is_refused_before_a_request(tmp_path):
    (tmp_path / "file").touch()
    config = ClientConfig(server="http://127.0.0.1:1")
    with pytest.raises(FileExistsError):
        fetch.fetch_images(str(tmp_path / "file"), config=config)
