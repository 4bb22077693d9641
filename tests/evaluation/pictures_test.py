import numpy as np
import pytest
import tensorflow as tf

from tf_student.evaluation import pictures


def _flat(values, size=4):
    """A grey image for each value."""
    return np.repeat(np.uint8(values), size * size).reshape(-1, size, size, 1)


def _cells(picture, columns, size=4):
    """The value at the centre of each cell, row by row."""
    middles = picture.image[1 + size // 2 :: size + 1, 1 + size // 2 :: size + 1, 0]
    return middles[:, :columns].tolist()


def test_rows_of_the_two_sets_alternate():
    values = np.arange(20)
    same, _ = pictures.pairs(
        ("a", "b"), (_flat(values), _flat(values + 100)), np.zeros(20)
    )
    rows = _cells(same, 16)
    assert rows[0] == list(range(16)) and rows[1] == list(range(100, 116))
    assert rows[2][:5] == [16, 17, 18, 19, 255]
    assert same.caption == "a (upper rows) and b (lower rows) on the same noise"


def test_worst_pairs_come_first():
    values = np.arange(40)
    _, worst = pictures.pairs(
        ("a", "b"), (_flat(values), _flat(values + 100)), values % 7 + values / 100
    )
    rows = _cells(worst, 16)
    assert rows[0][:3] == [34, 27, 20] and rows[1][:3] == [134, 127, 120]
    assert len(rows) == 4


def test_neighbours_are_beside_their_image():
    nearest = np.stack([_flat([10, 11, 12]), _flat([20, 21, 22])])
    picture = pictures.neighbours("mine", _flat([1, 2]), nearest)
    assert _cells(picture, 4) == [[1, 10, 11, 12], [2, 20, 21, 22]]
    assert picture.caption == "Samples of mine (left) and their nearest real images"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_written_atomically(tmp_path, channels):
    image = np.full([8, 8, channels], 7, np.uint8)
    pictures.Picture("a", "b", image).write(str(tmp_path / "a.png"))
    written = tf.io.decode_png(tf.io.read_file(str(tmp_path / "a.png")))
    assert written.shape == (768, 768, channels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
