import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import grids


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
    path = str(tmp_path / "a.png")
    grids.write_png(path, image, width=6)
    read = tf.io.decode_png(tf.io.read_file(path)).numpy()
    assert read.shape == (6, 6, channels)
    assert np.array_equal(read[::3, ::3], image)
    assert np.array_equal(read[2::3, 2::3], image)


@pytest.mark.parametrize(("size", "width"), [(4, 8), (3, 9), (10, 10), (11, 11)])
def test_a_small_image_is_magnified_to_at_most_the_width(tmp_path, size, width):
    path = str(tmp_path / "a.png")
    grids.write_png(path, np.full((2, size, 1), 7, np.uint8), width=10)
    read = tf.io.decode_png(tf.io.read_file(path))
    assert read.shape == (2 * width // size, width, 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_png_keeps_its_size_by_default(tmp_path):
    path = str(tmp_path / "a.png")
    grids.write_png(path, np.zeros((2, 3, 1), np.uint8))
    assert tf.io.decode_png(tf.io.read_file(path)).shape == (2, 3, 1)
