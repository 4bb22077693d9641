import errno
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import grids
from tf_student.runtime import files
from tf_student.runtime.errors import InputError


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with files.replacing(str(path)) as temporary:
        with open(temporary, "w") as file:
            file.write("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.replacing(str(path)) as temporary:
        with open(temporary, "w") as file:
            file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error):
        with files.replacing(str(path)) as temporary:
            with open(temporary, "w") as file:
                file.write("half")
            raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_exception_before_anything_was_written_is_the_one_that_is_seen(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with files.replacing(str(tmp_path / "a.txt")):
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("size", "expected"), [(4, 8), (3, 9), (10, 10), (11, 11)])
def test_a_small_picture_is_magnified(tmp_path, size, expected):
    path = str(tmp_path / "a.png")
    grids.write_png(path, np.full((2, size, 1), 7, np.uint8), width=10)
    read = tf.io.decode_png(tf.io.read_file(path))
    assert read.shape == (2 * expected // size, expected, 1)
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_directory_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "model"
    with files.replacing_directory(str(path)) as temporary:
        os.makedirs(os.path.join(temporary, "part"))
        with open(os.path.join(temporary, "part", "a.txt"), "w") as file:
            file.write("new")
        assert not path.exists()
    assert (path / "part" / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_no_directory(tmp_path, error):
    with pytest.raises(error):
        with files.replacing_directory(str(tmp_path / "model")) as temporary:
            with open(os.path.join(temporary, "a.txt"), "w") as file:
                file.write("half")
            raise error
    assert os.listdir(tmp_path) == []


def test_a_directory_that_appeared_meanwhile_stays(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(tf.errors.OpError):
        with files.replacing_directory(str(path)) as temporary:
            assert os.path.isdir(temporary)
            path.mkdir()
            (path / "a.txt").write_text("another's")
    assert (path / "a.txt").read_text() == "another's"
    assert os.listdir(tmp_path) == ["model"]


def test_json_comes_back(tmp_path):
    path = str(tmp_path / "a.json")
    value = {"numbers": [1, 2.5], "text": "é", "nothing": None}
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(str(path), [1])
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(str(path), [float("nan")])
    assert json.loads(path.read_text()) == [1]
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_damaged_json_file_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1')
    with pytest.raises(InputError) as error:
        files.read_json(str(path))
    assert str(error.value).startswith(f"{path} is not valid JSON: ")


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("whole")
    (tmp_path / "a.txt.tmp-0123abcd").write_text("half")
    (tmp_path / "b.txt.tmp-0123abcd").write_text("half")
    files.remove_leftovers(str(tmp_path), ["a.txt"])
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt.tmp-0123abcd"]


def test_what_a_killed_writer_leaves_counts_as_a_leftover(tmp_path):
    with files.replacing(str(tmp_path / "a.txt")) as temporary:
        with open(temporary, "w") as file:
            file.write("half")
        files.remove_leftovers(str(tmp_path), ["a.txt"])
        assert os.listdir(tmp_path) == []
        with open(temporary, "w") as file:
            file.write("whole")


def test_what_a_killed_writer_of_a_folder_leaves_is_removed(tmp_path):
    for name in ("1.tmp-0123abcd", "other.tmp-0123abcd"):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "a.txt").write_text("half")
    files.remove_leftovers(str(tmp_path), ["1"])
    assert os.listdir(tmp_path) == ["other.tmp-0123abcd"]


def test_a_locked_directory_is_refused_until_it_is_free(tmp_path):
    with files.locked(str(tmp_path)):
        with pytest.raises(InputError, match=f"^Another process writes to {tmp_path}"):
            with files.locked(str(tmp_path)):
                raise AssertionError("both have it")
    with files.locked(str(tmp_path)):
        assert os.listdir(tmp_path) == []


def test_what_cannot_be_locked_is_not(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    for place in (str(tmp_path), "ram://model"):
        with files.locked(place):
            pass
