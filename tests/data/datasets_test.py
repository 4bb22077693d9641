import numpy as np
import pytest

from tests.image_sets import all_images, load, refusal
from tf_student.data import datasets


def test_digits_are_the_1797_of_the_uci_repository():
    images, labels = datasets.digits()
    assert (images.shape, images.dtype) == ((1797, 8, 8, 1), np.uint8)
    assert (labels.shape, labels.dtype) == ((1797,), np.uint8)
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts


def test_digits_load_unchanged():
    image_set = load("digits", (8, 8, 1))
    assert image_set.count == 1797
    assert np.array_equal(all_images(image_set), datasets.digits()[0])


def test_no_stream_is_autotuned():
    image_set = load("digits", (8, 8, 1))
    for stream in (image_set.images(), image_set.shuffled(seed=0, start=0)):
        assert stream.options().autotune.enabled is False


def test_digits_span_the_whole_range():
    images, _ = datasets.digits()
    assert (images.min(), images.max()) == (0, 255)


def test_wrong_channels_are_an_error():
    assert refusal(lambda: load("digits", (8, 8, 3))) == (
        "`channels` must be the channels of digits, 1. Received: channels=3."
    )


@pytest.mark.parametrize(
    "name",
    ["/no/such/folder", "./folder", "../folder", "~/pictures", "pictures/cats", "a/"],
)
def test_a_path_that_does_not_exist_is_no_name_of_tfds(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert refusal(lambda: load(name)) == (
        "`dataset` must be an existing folder or .npz file. Received: "
        f"dataset='{name}'."
    )


@pytest.mark.parametrize("name", ["cifar10", "lsun/bedroom", "mine"])
def test_names_of_tfds_are_no_paths(name):
    assert not datasets.is_path(name)


def test_a_dataset_in_the_data_directory_is_no_path(tmp_path):
    (tmp_path / "mine").mkdir()
    assert datasets.is_path("mine/small", "")
    assert not datasets.is_path("mine/small", str(tmp_path))
