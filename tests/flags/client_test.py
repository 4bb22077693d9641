"""The command `client` in its own process; REST needs no TensorFlow."""

import re

import pytest

from tests.client import model_server, saved_models
from tests.flags import commands


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    path = saved_models.write(tmp_path_factory.mktemp("model") / "1")
    with model_server.serving("faces", {1: path}, {}) as addresses:
        yield addresses


@pytest.fixture
def poison(tmp_path):
    """An environment where importing TensorFlow fails."""
    folder = tmp_path / "poison"
    folder.mkdir()
    (folder / "tensorflow.py").write_text("raise ImportError('too early')")
    return {"PYTHONPATH": str(folder)}


_ASKED = ("--model=faces", "--count=2", "--requests=20", "--concurrency=2", "--seed=3")


def _check(finished, work):
    assert (finished.code, finished.err) == (0, "")
    first, second = finished.out.splitlines()
    assert first == f"Saved 2 images of seed 3 in {work}/served."
    figures = r"p50 [\d.]+ ms, p90 [\d.]+ ms, p99 [\d.]+ ms; [\d.]+ images/s\."
    assert re.fullmatch(r"20 requests, 2 at a time: " + figures, second)
    names = sorted(path.name for path in (work / "served").iterdir())
    assert names == ["seed3_0000.png", "seed3_0001.png"]


def test_rest_needs_no_tensorflow(addresses, tmp_path, poison):
    work, server = tmp_path / "work", f"--server={addresses['rest']}"
    finished = commands.run("client", f"--work_dir={work}", server, *_ASKED, **poison)
    _check(finished, work)


def test_grpc_does_the_same(addresses, tmp_path):
    work, server = tmp_path / "work", f"--server={addresses['rpc']}"
    _check(commands.run("client", f"--work_dir={work}", server, *_ASKED), work)


def test_noise_needs_no_tensorflow_either(addresses, tmp_path, poison):
    work, server = tmp_path / "work", f"--server={addresses['rest']}"
    options = (f"--work_dir={work}", server, "--signature=serving_default", *_ASKED)
    _check(commands.run("client", *options, **poison), work)


def test_refusal_is_one_line(addresses, tmp_path, poison):
    work, server = f"--work_dir={tmp_path}/work", f"--server={addresses['rest']}"
    finished = commands.run("client", work, server, "--preset=cifar10", **poison)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == (
        f"tf-student client: {addresses['rest']} answered 404 Not Found: "
        "Servable not found for request: Latest(cifar10)\n"
    )
    assert not (tmp_path / "work").exists()
