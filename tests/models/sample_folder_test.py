import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tf_student.models import sample_folder
from tf_student.runtime.errors import InputError


def _images(count, value=0):
    return np.full((count, 4, 4, 1), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder with a draw of three images."""
    path = tmp_path / "student"
    sample_folder.write(str(path), _images(3))
    return path


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def _values(folder):
    paths = (folder / name for name in _names(folder))
    return [int(tf.io.decode_png(path.read_bytes())[0, 0, 0]) for path in paths]


def test_a_draw_is_written(folder):
    assert _names(folder) == ["000000.png", "000001.png", "000002.png"]
    assert json.loads((folder.parent / "student.json").read_text()) == {"images": 3}
    assert sorted(os.listdir(folder.parent)) == ["student", "student.json"]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_draw_replaces_the_last_one(folder, count):
    sample_folder.check_images(str(folder), count)
    sample_folder.write(str(folder), _images(count, 9))
    assert _values(folder) == [9] * count


def test_files_of_others_stay(folder):
    for name in ("cat.png", "000001.jpg", "0000001.png", "notes"):
        (folder / name).write_text("the user's")
    sample_folder.write(str(folder), _images(1))
    assert _names(folder) == [
        "000000.png",
        "0000001.png",
        "000001.jpg",
        "cat.png",
        "notes",
    ]


def test_numbered_images_of_others_are_refused(folder):
    (folder / "000007.png").write_text("the user's")
    with pytest.raises(InputError) as error:
        sample_folder.check_images(str(folder), 4)
    assert str(error.value) == (
        f"{folder} must hold the images of one draw. Received: 000007.png, which is of "
        "another one. Remove the folder, or choose another `work_dir`."
    )
    # A draw that replaces it is no reason to refuse.
    sample_folder.check_images(str(folder), 8)


def test_a_folder_of_an_earlier_version_is_continued_or_refused(folder):
    (folder.parent / "student.json").unlink()
    sample_folder.check_images(str(folder), 3)
    with pytest.raises(InputError, match=r"Received: 000002\.png, which is"):
        sample_folder.check_images(str(folder), 2)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"images": "3"}', '{"images": 10000000}', '{"names": ["../x"]}']
)
def test_a_damaged_record_is_named(folder, text):
    (folder.parent / "student.json").write_text(text)
    with pytest.raises(InputError, match=r"student.json is damaged: "):
        sample_folder.check_images(str(folder), 3)
    assert len(_names(folder)) == 3


def test_a_kill_while_drawing_leaves_the_last_draw(folder, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sample_folder, "_replace", killed)
        with pytest.raises(KeyboardInterrupt):
            sample_folder.write(str(folder), _images(5, 9))
    assert _values(folder) == [0] * 3
    assert sorted(os.listdir(folder.parent)) == ["student", "student.json"]


def test_what_a_kill_left_is_removed(folder):
    left = folder.parent / "student.tmp-0123abcd"
    other = folder.parent / "cats.tmp-0123abcd"
    for path in (left, other):
        path.mkdir()
        (path / "000000.png").write_text("half")
    (folder.parent / "student.json.tmp-0123abcd").write_text("half")
    sample_folder.write(str(folder), _images(1))
    assert sorted(os.listdir(folder.parent)) == [
        "cats.tmp-0123abcd",
        "student",
        "student.json",
    ]


def test_a_kill_while_images_are_replaced_leaves_only_own_images(folder, monkeypatch):
    """Some of the five new images have replaced old ones."""
    rename, calls = tf.io.gfile.rename, []

    def killed(source, target, overwrite=False):
        # The first call writes the record.
        calls.append(target)
        if len(calls) > 3:
            raise KeyboardInterrupt
        rename(source, target, overwrite=overwrite)

    with monkeypatch.context() as patch:
        patch.setattr(tf.io.gfile, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            sample_folder.write(str(folder), _images(5, 9))
    # The next draw is smaller than both.
    sample_folder.check_images(str(folder), 1)
    sample_folder.write(str(folder), _images(1, 7))
    assert _values(folder) == [7]
