import numpy as np
import pytest
import tensorflow as tf

from tf_student.client import arrays
from tf_student.runtime.errors import ServerError


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_has_the_image(channels):
    shape = (5, 7, channels)
    images = np.random.default_rng(0).integers(0, 256, (2, *shape))
    files = arrays.pngs(images, shape, "the server")
    assert all(file.startswith(b"\x89PNG\r\n\x1a\n") for file in files)
    decoded = [tf.io.decode_png(file) for file in files]
    np.testing.assert_array_equal(decoded, images)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros([2, 4, 4, 1], np.float32),
        np.zeros([2, 4, 4, 3], np.int64),
        np.zeros([0, 4, 4, 1], np.int64),
        np.full([1, 4, 4, 1], 256),
        np.full([1, 4, 4, 1], -1),
        np.array(None),
        np.array("uneven"),
    ],
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ServerError, match=r"server must return images \[n, 4, 4, 1\]"):
        arrays.pngs(images, (4, 4, 1), "the server")


def test_images_of_five_channels_are_refused():
    with pytest.raises(ServerError, match=r"1 to 4 channels.* \[4, 4, 5\]\."):
        arrays.pngs(np.zeros([1, 4, 4, 5], np.uint8), (4, 4, 5), "the server")


def test_shape_is_that_of_an_image():
    assert arrays.shape(["-1", "32", "16", "3"], "the server") == (32, 16, 3)


@pytest.mark.parametrize("sizes", [[], [-1, 3], [8, 8, 8, 3], [-1, -1, 8, 3]])
def test_other_shapes_are_refused(sizes):
    with pytest.raises(ServerError, match=r"must take noise \[n, height, width"):
        arrays.shape(sizes, "the server")


def test_noise_is_normal_and_a_function_of_its_seed():
    first, again, other = (
        arrays.noise(s, 500, (8, 8, 3)) for s in (2**63 - 1,) * 2 + (4,)
    )
    assert first.dtype == np.float32 and first.shape == (500, 8, 8, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert abs(first.mean()) < 0.02 and abs(first.std() - 1) < 0.02
