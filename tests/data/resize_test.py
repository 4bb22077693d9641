import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import resize
from tf_student.runtime.errors import InputError


def test_an_image_of_the_size_is_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(resize.fit(tf.constant(image), (8, 8, 3)), image)


@pytest.mark.parametrize("size", [(8, 12), (12, 8), (31, 17), (5, 9)])
def test_every_image_gets_the_size(size):
    image = tf.fill([*size, 1], tf.constant(77, tf.uint8))
    resized = resize.fit(image, (8, 8, 1))
    assert resized.dtype == tf.uint8
    assert np.array_equal(resized, np.full((8, 8, 1), 77))


def test_the_description_names_crop_and_size():
    assert resize.describe((64, 64, 3), (218, 178, 3), (57, 25, 128, 128)) == (
        "crop 128x128 at row 57, column 25; shorter side resized to 64 where it "
        "differs (bilinear, antialiased), centre crop"
    )


def test_the_description_of_unchanged_images():
    assert resize.describe((8, 8, 1), (8, 8, 1)) == "as they are"


def test_the_description_of_images_of_unknown_sizes():
    assert resize.describe((8, 8, 1)).startswith("shorter side resized to 8")


def test_other_channels_are_an_error():
    with pytest.raises(InputError) as error:
        resize.check_channels(1, "digits", (8, 8, 3))
    assert str(error.value) == (
        "`channels` must be the channels of digits, 1. Received: channels=3."
    )
