import numpy as np
import pytest

from tests.image_sets import all_images, load, refusal

RNG = np.random.default_rng(0)


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "images.npz"
    train = RNG.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.savez(path, train=train, test=255 - train[:2])
    return path, train


def test_each_array_of_an_npz_is_a_split(npz):
    path, train = npz
    assert np.array_equal(all_images(load(path)), train)
    assert np.array_equal(all_images(load(path, split="test")), 255 - train[:2])


def test_an_npz_of_one_array_needs_no_split(tmp_path):
    array = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", array)
    assert load(tmp_path / "a.npz").count == 2


def test_an_npz_without_the_split_is_an_error(npz):
    path, _ = npz
    assert refusal(lambda: load(path, split="valid")) == (
        f"`split` must be an array of {path}: train, test. Received: split=valid."
    )


def test_a_missing_npz_is_an_error():
    assert refusal(lambda: load("/no/such.npz")) == (
        "`dataset` must be an existing file. Received: dataset=/no/such.npz."
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"nonsense"])
def test_a_damaged_npz_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert refusal(lambda: load(path)).startswith(
        f"{path} is not an .npz file of arrays: "
    )


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "float32 [2, 8, 8, 3]"),
        (np.zeros((2, 8, 8), np.uint8), "uint8 [2, 8, 8]"),
        (np.zeros((0, 8, 8, 3), np.uint8), "uint8 [0, 8, 8, 3]"),
    ],
)
def test_an_array_of_anything_but_images_is_an_error(tmp_path, array, received):
    path = tmp_path / "a.npz"
    np.savez(path, array)
    assert refusal(lambda: load(path)) == (
        f"{path} must hold uint8 images [n, height, width, channels]. "
        f"Received: {received}."
    )
