import numpy as np
import pytest

from tf_student.evaluation.cache import Cache
from tf_student.evaluation.features import CHUNK, Extractor
from tf_student.runtime.errors import InputError


class _Network:
    """Gives predictable features and counts the images that it is called with."""

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        flat = images.reshape(len(images), -1).astype(np.float32)
        return flat[:, :3], flat[:, :2] / 255


@pytest.fixture
def network():
    return _Network()


@pytest.fixture
def extractor(network):
    return Extractor("tiny", "tiny 1", network)


def _images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [n, 4, 4, 1]).astype(np.uint8)


@pytest.mark.parametrize("sizes", [[9], [4, 5], [1] * 9])
def test_batches_do_not_change_features(extractor, sizes):
    images = _images(9)
    features = extractor.extract(np.split(images, np.cumsum(sizes)[:-1]), "mine")
    expected = images.reshape(9, -1)[:, :3]
    np.testing.assert_array_equal(features.activations, expected)
    np.testing.assert_allclose(features.logits, expected[:, :2] / 255, rtol=1e-6)
    assert features.activations.dtype == features.logits.dtype == np.float32
    assert (features.name, features.extractor) == ("mine", "tiny 1")


def test_features_are_mapped_from_a_file(extractor):
    features = extractor.extract([_images(9)])
    assert isinstance(features.activations.base.base, np.memmap) or isinstance(
        features.activations, np.memmap
    )


def test_statistics_know_their_extractor(extractor):
    features = extractor.extract([_images(9)], "mine").statistics
    assert (features.n, features.name, features.extractor) == (9, "mine", "tiny 1")


def test_every_image_is_counted_once(extractor):
    counts = []
    images = _images(2 * CHUNK + 100)
    extractor.extract(np.split(images, [300, 1500]), advance=counts.append)
    assert counts == [CHUNK, CHUNK, 100]


def test_cached_features_are_not_extracted_twice(extractor, network, tmp_path):
    cache, images = Cache(str(tmp_path), extractor.identity), _images(CHUNK + 50)
    first = extractor.extract([images], cache=cache)
    repeated = extractor.extract(np.split(images, [77]), cache=cache)
    assert network.seen == CHUNK + 50
    np.testing.assert_array_equal(repeated.activations, first.activations)
    np.testing.assert_array_equal(repeated.logits, first.logits)


def test_interrupted_extraction_continues_after_the_last_chunk(
    extractor, network, tmp_path
):
    cache, images = Cache(str(tmp_path), extractor.identity), _images(CHUNK + 50)

    def interrupted():
        yield images[: CHUNK + 20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extractor.extract(interrupted(), cache=cache)
    extractor.extract([images], cache=cache)
    assert network.seen == CHUNK + 50


def test_another_image_or_extractor_is_extracted(extractor, network, tmp_path):
    images = _images(5)
    other = images.copy()
    other[2, 1, 1, 0] ^= 1
    for cache, batch in (
        (Cache(str(tmp_path), "a"), images),
        (Cache(str(tmp_path), "a"), other),
        (Cache(str(tmp_path), "b"), images),
    ):
        extractor.extract([batch], cache=cache)
    assert network.seen == 15


@pytest.mark.parametrize("spoil", [lambda data: data[:-50], lambda data: b"nothing"])
def test_a_damaged_file_of_the_cache_is_written_anew(
    extractor, network, tmp_path, contents, spoil
):
    cache = Cache(str(tmp_path), extractor.identity)
    extractor.extract([_images(5)], cache=cache)
    whole = contents(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    features = extractor.extract([_images(5)], cache=cache)
    assert network.seen == 10
    assert len(features.activations) == 5
    assert list(contents(tmp_path)) == list(whole)
    assert cache.get(path.stem) is not None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_images_that_are_not_uint8_are_an_error(extractor, dtype):
    images = np.zeros([3, 4, 4, 1], dtype)
    message = f"must be uint8 .* rounded .* Received: {np.dtype(dtype).name} .* of mine"
    with pytest.raises(InputError, match=message):
        extractor.extract([images], "mine")


def test_images_without_channels_are_an_error(extractor):
    with pytest.raises(InputError, match=r"Received: uint8 \[3, 4, 4\] of mine"):
        extractor.extract([np.zeros([3, 4, 4], np.uint8)], "mine")


def test_images_of_zero_and_one_are_an_error(extractor):
    images = _images(9) % 2
    with pytest.raises(
        InputError, match=r"values of 0 to 255. Received: mine with 0 to"
    ):
        extractor.extract([images], "mine")


def test_images_of_many_sizes_are_an_error(extractor):
    batches = [np.zeros([3, size, size, 1], np.uint8) for size in (4, 5)]
    message = r"one size. Received: mine with \[4, 4, 1\] and \[5, 5, 1\]"
    with pytest.raises(InputError, match=message):
        extractor.extract(batches, "mine")


def test_no_images_are_too_few(extractor):
    with pytest.raises(InputError, match=r"At least 2 images .* Received: 0 of mine"):
        extractor.extract([], "mine")


def test_one_image_is_too_few(extractor):
    with pytest.raises(InputError, match=r"at least 2 images. Received: 1 of mine"):
        _ = extractor.extract([_images(1)], "mine").statistics
