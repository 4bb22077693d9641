import numpy as np
import pytest
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.evaluation import inception_preprocessing

_IMAGES = np.random.default_rng(3).integers(0, 256, [2, 5, 9, 3]).astype(np.uint8)


def _resized(images, offset):
    """Bilinear to 299x299; a pixel's place is (i + offset) * scale - offset."""
    result = images.astype(np.float64)
    for axis in (1, 2):
        size = images.shape[axis]
        places = (np.arange(299) + offset) * size / 299 - offset
        places = np.clip(places, 0, size - 1)
        low = np.floor(places).astype(int)
        part = (places - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, size - 1)
        result = result.take(low, axis) * (1 - part) + result.take(high, axis) * part
    return result


def test_tfgans_resize_adds_half_a_pixel():
    images = np.random.default_rng(0).integers(0, 256, [2, 7, 7, 3]).astype(np.uint8)
    actual = inception_preprocessing.tfgan(tf.constant(images)).numpy()
    expected = _resized(images, 0.5) / 127.5 - 1
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert actual.shape == (2, 299, 299, 3)


def test_tf1_resize_adds_no_half_pixel():
    expected = (_resized(_IMAGES, 0) - 128) / 128
    assert_close(inception_preprocessing.tf1(tf.constant(_IMAGES)), expected)


def test_pytorch_fids_resize_adds_half_a_pixel():
    expected = _resized(_IMAGES, 0.5) / 255 * 2 - 1
    assert_close(inception_preprocessing.pytorch_fid(tf.constant(_IMAGES)), expected)


def test_pytorch_fids_resize_is_pytorchs():
    torch = pytest.importorskip("torch")
    nchw = torch.from_numpy(_IMAGES.transpose(0, 3, 1, 2) / 255)
    resized = torch.nn.functional.interpolate(
        nchw, size=(299, 299), mode="bilinear", align_corners=False
    )
    expected = 2 * resized.numpy().transpose(0, 2, 3, 1) - 1
    assert_close(inception_preprocessing.pytorch_fid(tf.constant(_IMAGES)), expected)


@pytest.mark.parametrize("name", ["tfgan", "tf1", "pytorch_fid"])
def test_grey_images_become_coloured(name):
    preprocess = getattr(inception_preprocessing, name)
    grey = tf.constant(_IMAGES[..., :1])
    colour = tf.repeat(grey, 3, axis=-1)
    np.testing.assert_array_equal(preprocess(grey), preprocess(colour))


def test_names_are_those_of_the_option():
    assert inception_preprocessing.BY_NAME == {
        "tf1": inception_preprocessing.tf1,
        "pytorch_fid": inception_preprocessing.pytorch_fid,
    }
