import os

import pytest
import tensorflow as tf

from tf_student.runtime import files, paths
from tf_student.runtime.errors import InputError


@pytest.mark.parametrize("name", ["exp[1]", "exp*", "exp?", "a\nb", "~", "é"])
def test_a_directory_of_any_name_is_listed(tmp_path, name):
    (tmp_path / "exp1").mkdir()
    (tmp_path / "exp1" / "wrong").write_text("")
    (tmp_path / name).mkdir()
    (tmp_path / name / "b[1]").write_text("")
    (tmp_path / name / "a").mkdir()
    assert paths.listdir(str(tmp_path / name)) == ["a", "b[1]"]


def test_a_missing_directory_is_empty(tmp_path):
    assert paths.listdir(str(tmp_path / "absent")) == []
    (tmp_path / "file").write_text("")
    assert paths.listdir(str(tmp_path / "file")) == []


def test_remote_directories_are_listed_alike():
    tf.io.gfile.makedirs("ram://paths/deep")
    files.write_text("ram://paths/deep/a", "")
    files.write_text("ram://paths/b", "")
    assert paths.listdir("ram://paths") == ["b", "deep"]


def test_files_are_found_below_a_directory(tmp_path):
    for name in ("b/2", "b/.hidden/3", "a", ".c", "d/e/f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
        tf.io.gfile.makedirs(f"ram://below/{name}".rpartition("/")[0])
        files.write_text(f"ram://below/{name}", "")
    expected = ["a", "b/2", "d/e/f"]
    for root in (str(tmp_path), "ram://below"):
        found = paths.files_below(root, lambda name: not name.startswith("."))
        assert found == [f"{root}/{name}" for name in expected]


def test_the_directory_itself_may_have_any_name(tmp_path):
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a").write_text("")
    found = paths.files_below(f"{tmp_path}/.hidden/", lambda name: name[0] != ".")
    assert found == [f"{tmp_path}/.hidden/a"]


def test_a_name_that_tensorflow_cannot_open_is_an_error(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.png", "w"):
        pass
    with pytest.raises(InputError, match=r"A file's name must be UTF-8"):
        paths.files_below(str(tmp_path), lambda name: True)


@pytest.mark.parametrize(
    "name", ["plain", "a*", "a?", "a[", "a]", "a{b}", "~", "a\nb", "é", "a'\"b", "a#b"]
)
def test_tensorflow_restores_from_other_names(tmp_path, name):
    path = str(tmp_path / name)
    paths.check_restorable(path)
    tf.train.Checkpoint(v=tf.Variable(1)).write(f"{path}/ckpt-1")
    tf.train.load_checkpoint(f"{path}/ckpt-1")


@pytest.mark.parametrize("name", ["exp[1]", "[ab]/deep", "a\\b", "[1\n]"])
def test_tensorflow_cannot_restore_from_patterns(tmp_path, name):
    path = str(tmp_path / name)
    with pytest.raises(InputError, match="TensorFlow reads as a pattern"):
        paths.check_restorable(path)
    tf.train.Checkpoint(v=tf.Variable(1)).write(f"{path}/ckpt-1")
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.load_checkpoint(f"{path}/ckpt-1")
