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


def test_labels_of_an_npz(tmp_path):
    images = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.array([2, 0, 1], np.uint8))
    image_set = load(tmp_path / "a.npz")
    assert image_set.classes == 3
    assert list(image_set.labels().as_numpy_iterator()) == [2, 0, 1]


def test_each_split_may_have_labels_of_its_own(tmp_path):
    arrays = {"train": np.zeros((3, 8, 8, 3), np.uint8), "train_labels": [1, 1, 0]}
    arrays |= {"test": np.zeros((2, 8, 8, 3), np.uint8), "test_labels": [0, 1]}
    np.savez(tmp_path / "a.npz", **arrays)
    for split, expected in {"train": [1, 1, 0], "test": [0, 1]}.items():
        labels = load(tmp_path / "a.npz", split=split).labels()
        assert list(labels.as_numpy_iterator()) == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1], "must have labels: they must be integers [3]. Received: int64 [2]."),
        ([0.0, 1.0, 2.0], "they must be integers [3]. Received: float64 [3]."),
        ([None, 1, 2], "they must be integers [3]. Received: object"),
        ([0, -1, 1], "numbered from 0, with images of each class. Received: -1 to 1"),
        ([0, 1, 9], "Received: 0 to 9, 3 classes."),
    ],
)
def test_unsuitable_labels_are_an_error_only_where_they_are_needed(
    tmp_path, labels, expected
):
    arrays = {"images": np.zeros((3, 8, 8, 3), np.uint8), "labels": np.array(labels)}
    np.savez(tmp_path / "a.npz", **arrays)
    image_set = load(tmp_path / "a.npz")
    assert (image_set.count, image_set.classes) == (3, 0)
    assert expected in refusal(image_set.labels)


def test_labels_beside_several_arrays_are_those_of_none(tmp_path):
    images = np.zeros((3, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", train=images, test=images, labels=[0, 1, 2])
    assert load(tmp_path / "a.npz").classes == 0


def test_arrays_without_names_are_images_and_labels(tmp_path):
    images = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images, np.array([1, 0, 1]))
    image_set = load(tmp_path / "a.npz")
    assert np.array_equal(all_images(image_set), images)
    assert list(image_set.labels().as_numpy_iterator()) == [1, 0, 1]


def test_images_beside_statistics_are_found(tmp_path):
    images = RNG.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    path = tmp_path / "a.npz"
    np.savez(path, mu=np.zeros(5), sigma=np.eye(5), real=images)
    assert np.array_equal(all_images(load(path)), images)
    assert refusal(lambda: load(path, split="mu")) == (
        f"{path} must hold uint8 images [n, height, width, channels]. "
        "Received: float64 [5]."
    )


def test_a_single_array_needs_its_name_or_none(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, faces=np.zeros((2, 8, 8, 3), np.uint8))
    assert load(path, split="faces").count == 2
    assert refusal(lambda: load(path, split="other")) == (
        f"`split` must be an array of {path}: faces. Received: split=other."
    )


def test_an_npz_without_images_says_what_it_has(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, m=np.zeros(5), s=np.eye(5))
    assert refusal(lambda: load(path)) == (
        f"{path} must hold uint8 images [n, height, width, channels]. "
        "Received: m float64 [5], s float64 [5, 5]."
    )


def test_channels_first_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, np.zeros((2, 3, 8, 8), np.uint8))
    assert refusal(lambda: load(path)) == (
        f"{path} must hold images with their channels last. Received: [2, 3, 8, 8]."
    )


def test_the_digits_have_labels():
    image_set = load("digits", (8, 8, 1))
    assert image_set.classes == 10
    assert list(image_set.labels().take(10).as_numpy_iterator()) == list(range(10))
