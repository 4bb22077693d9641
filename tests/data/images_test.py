import numpy as np
import tensorflow as tf

from tf_student.data import images


def test_every_pixel_value_survives_the_way_to_floats_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    assert images.to_uint8(images.to_float(pixels)).numpy().tolist() == pixels.tolist()


def test_to_float_spans_minus_one_to_one():
    values = images.to_float(np.array([0, 51, 255], np.uint8))
    assert values.dtype == tf.float32
    np.testing.assert_allclose(values, [-1.0, -0.6, 1.0], atol=1e-7)


def test_to_uint8_rounds_to_the_nearest():
    # 10.4, 10.6 and 254.6 of 255: truncation would give 10, 10 and 254.
    values = np.array([10.4, 10.6, 254.6], np.float32) / 127.5 - 1.0
    assert images.to_uint8(values).numpy().tolist() == [10, 11, 255]


def test_to_uint8_clips_instead_of_wrapping_around():
    values = tf.constant([-3.0, -1.01, 1.01, 3.0])
    assert images.to_uint8(values).numpy().tolist() == [0, 0, 255, 255]


def test_to_uint8_does_its_arithmetic_in_float32():
    values = images.to_float(np.arange(256, dtype=np.uint8))
    exact = images.to_uint8(tf.cast(values, tf.float16)).numpy().astype(int)
    assert np.max(np.abs(exact - np.arange(256))) <= 1
