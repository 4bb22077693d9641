import numpy as np
import pytest

from tests.image_sets import load, take, write_png

RNG = np.random.default_rng(0)


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "images.npz"
    train = RNG.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    np.savez(path, train=train, test=255 - train[:2])
    return path, train


@pytest.mark.parametrize("source", ["digits", "folder"])
def test_a_shuffled_stream_resumes(source, tmp_path):
    if source == "digits":
        image_set = load("digits", (8, 8, 1))
    else:
        for i in range(4):
            write_png(tmp_path / f"{i}.png", np.full((8, 8, 3), i, np.uint8))
        image_set = load(tmp_path)
    whole = take(image_set.shuffled(seed=1, start=0), 14)
    assert take(image_set.shuffled(seed=1, start=5), 9) == whole[5:]


def test_every_epoch_of_a_stream_has_every_image(npz):
    path, _ = npz
    stream = load(path).shuffled(seed=0, start=0)
    elements = [int(element) for _, element in take(stream, 10)]
    assert sorted(elements[:5]) == sorted(elements[5:]) == [0, 1, 2, 3, 4]


def test_elements_of_a_stream_decode_to_the_images(npz):
    path, train = npz
    image_set = load(path)
    ((_, element),) = take(image_set.shuffled(seed=0, start=3), 1)
    assert np.array_equal(image_set.decode(element), train[element])
