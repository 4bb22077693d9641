import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import grids, images


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


def numbered(n):
    return np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)


def test_grid_lays_out_row_by_row_with_white_between():
    assert grids.grid(numbered(5), columns=3)[:, :, 0].tolist() == [
        [255, 255, 255, 255, 255, 255, 255],
        [255, 0, 255, 1, 255, 2, 255],
        [255, 255, 255, 255, 255, 255, 255],
        [255, 3, 255, 4, 255, 255, 255],
        [255, 255, 255, 255, 255, 255, 255],
    ]


def test_grid_is_about_square_by_default():
    sheet = grids.grid(np.zeros((10, 4, 6, 3), np.uint8), border=0)
    assert sheet.shape == (3 * 4, 4 * 6, 3)


def test_alternate_rows_takes_a_row_of_each_set_in_turn():
    ordered = grids.alternate_rows([numbered(4), 10 + numbered(4)], columns=2)
    assert ordered.ravel().tolist() == [0, 1, 10, 11, 2, 3, 12, 13]


def test_alternate_rows_fills_a_short_row_with_white():
    ordered = grids.alternate_rows([numbered(3), 10 + numbered(3)], columns=2)
    assert ordered.ravel().tolist() == [0, 1, 10, 11, 2, 255, 12, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_magnified_pixels(tmp_path, channels):
    image = np.arange(4 * channels, dtype=np.uint8).reshape(2, 2, channels)
    grids.write_png(tmp_path / "a.png", image, magnify=3)
    read = tf.io.decode_png(tf.io.read_file(str(tmp_path / "a.png"))).numpy()
    assert read.shape == (6, 6, channels)
    assert np.array_equal(read[::3, ::3], image)
    assert np.array_equal(read[2::3, 2::3], image)
