"""The model in C++, loaded by the function that ModelServer loads with."""

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.serving.conftest import LIMIT
from tf_student.serving import native

_SEED, _COUNT = "seed=int64::7", "count=int32::4"
_BAD = {
    "serving_default o noise=float:2,16,16,3:0": "not compatible with expected shape",
    "serving_default o noise=float:8,8,3:0": "not compatible with expected shape",
    "serving_default o noise=float:0,8,8,3:0": f"1 to {LIMIT} rows. Received:] [0]",
    f"serving_default o noise=float:{LIMIT + 1},8,8,3:0": f"1 to {LIMIT} rows",
    "serving_default o noise=int32:2,8,8,3:0": "to be float but int32 is provided",
    f"sample o {_SEED} count=int32::0": f"`count` must be 1 to {LIMIT}.",
    f"sample o {_SEED} count=int32::-3": "Received:] [-3]",
    f"sample o {_SEED} count=int32::10000000": "Received:] [10000000]",
    f"sample o {_SEED} count=int64::1": "to be int32 but int64 is provided",
    f"sample o {_SEED} count=int32:2:1": "not compatible with expected shape []",
    f"sample o seed=int64::-1 {_COUNT}": "`seed` must be 0 to 9223372036854775807.",
    f"sample o seed=int32::1 {_COUNT}": "to be int64 but int32 is provided",
    f"png o seed=int64::-1 {_COUNT}": "`seed` must be 0 to",
    f"png_json o {_SEED} count=int32::0": "`count` must be 1 to",
    "interpolate o seed_a=int64::1 seed_b=int64::-2 steps=int32::3": "`seed_b` must",
    "interpolate o seed_a=int64::1 seed_b=int64::2 steps=int32::1": "`steps` must be 2",
}


@pytest.fixture(scope="module")
def responses(program, directory, tmp_path_factory):
    """The statuses of good and bad requests to one process, and its folder."""
    folder = tmp_path_factory.mktemp("answers")
    good = [
        f"sample {folder}/sample {_SEED} {_COUNT}",
        f"png {folder}/png {_SEED} count=int32::1",
    ]
    requests = [*good, *(request.replace(" o ", " /dev/null ") for request in _BAD)]
    requests.append(f"sample {folder}/again {_SEED} {_COUNT}")
    return native.run(program, directory, requests), folder


def test_sample_gives_the_same_images(responses, signatures):
    statuses, folder = responses
    assert statuses[0] == "OK uint8 [4,8,8,3]"
    expected = signatures["sample"](
        seed=tf.constant(7, tf.int64), count=tf.constant(4)
    )["images"].numpy()
    images = np.fromfile(folder / "sample", np.uint8).reshape(expected.shape)
    difference = np.abs(images.astype(int) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_png_can_be_decoded(responses):
    statuses, folder = responses
    assert statuses[1] == "OK string [1]"
    assert tf.io.decode_png((folder / "png").read_bytes()).shape == (8, 8, 3)


@pytest.mark.parametrize("number", range(len(_BAD)), ids=list(_BAD))
def test_bad_requests_are_invalid_arguments(responses, number):
    status = responses[0][2 + number]
    assert status.startswith("INVALID_ARGUMENT: ")
    assert list(_BAD.values())[number] in status


def test_later_requests_succeed(responses):
    statuses, folder = responses
    assert statuses[-1] == "OK uint8 [4,8,8,3]"
    assert (folder / "again").read_bytes() == (folder / "sample").read_bytes()


def test_missing_model_is_named(program, tmp_path):
    with pytest.raises(RuntimeError, match="cannot be loaded: NOT_FOUND"):
        native.run(program, str(tmp_path), [])


def test_failing_compiler_is_quoted(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(RuntimeError, match=r"`false .*` failed"):
        native.build(str(tmp_path / "program"))


def test_no_compiler_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    assert native.compiler() is None


@pytest.mark.skipif(not ops.library_loaded(), reason="the op was not built")
def test_fused_model_needs_its_op(program, fused_directory):
    request = f"sample /dev/null {_SEED} {_COUNT}"
    (status,) = native.run(program, fused_directory, [request])
    assert "Op type not registered 'TfStudent>" in status
    assert native.run(program, fused_directory, [request], ops.library_path()) == [
        "OK uint8 [4,8,8,3]"
    ]
