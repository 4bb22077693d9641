import errno
import fcntl
import os
import subprocess
import sys
import time
from unittest import mock

import pytest
import tensorflow as tf

from tf_student.runtime import atomic, files, leftovers
from tf_student.runtime.errors import InputError


def test_only_leftovers_are_removed(tmp_path):
    (tmp_path / "a.txt").write_text("whole")
    (tmp_path / "a.txt.tmp-0123abcd").write_text("half")
    (tmp_path / "b.txt.tmp-0123abcd").write_text("half")
    leftovers.remove(str(tmp_path), {"a.txt"}.__contains__)
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt.tmp-0123abcd"]


def test_the_file_of_a_killed_writer_is_a_leftover(tmp_path):
    with files.replacing(str(tmp_path / "a.txt")) as temporary:
        with open(temporary, "w") as file:
            file.write("half")
        leftovers.remove(str(tmp_path), {"a.txt"}.__contains__)
        assert os.listdir(tmp_path) == []
        with open(temporary, "w") as file:
            file.write("whole")


def test_the_directory_of_a_killed_writer_is_a_leftover(tmp_path):
    for name in ("1.tmp-0123abcd", "other.tmp-0123abcd"):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "a.txt").write_text("half")
    leftovers.remove(str(tmp_path), {"1"}.__contains__)
    assert os.listdir(tmp_path) == ["other.tmp-0123abcd"]


def test_a_locked_directory_is_an_error_until_it_is_free(tmp_path):
    with leftovers.locked(str(tmp_path)):
        with pytest.raises(InputError, match=f"^Another process writes to {tmp_path}"):
            with leftovers.locked(str(tmp_path)):
                raise AssertionError("both have it")
    with leftovers.locked(str(tmp_path)):
        assert os.listdir(tmp_path) == []


def test_directories_without_locks_are_not_locked(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(leftovers.fcntl, "flock", refuse)
    for place in (str(tmp_path), "ram://model"):
        with leftovers.locked(place):
            pass


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "a.txt.tmp-",
        "a.txt.tmp-mine",
        "a.txt.tmp-0123abcd.bak",
        "a.txt.tmp-0123ABCD",
        ".tmp-0123abcd",
    ],
)
def test_files_of_other_names_are_not_leftovers(tmp_path, name):
    (tmp_path / name).write_text("another's")
    leftovers.remove(str(tmp_path), lambda final: True)
    assert os.listdir(tmp_path) == [name]
    assert atomic.final_name(name) == ""


@pytest.mark.parametrize("name", ["exp[1]", "exp*", "exp?", "a\nb", "~", "exp[!a]"])
def test_the_name_of_a_directory_is_no_pattern(tmp_path, name):
    for folder in (name, "exp1", "expx", "exp"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt.tmp-0123abcd").write_text("half")
    leftovers.remove(str(tmp_path / name), {"a.txt"}.__contains__)
    left = {path.parent.name for path in tmp_path.glob("*/a.txt.tmp-*")}
    assert left == {"exp1", "expx", "exp"}


def test_files_whose_names_are_not_utf8_stay(tmp_path):
    strange = os.fsencode(tmp_path) + b"/\xff.tmp-0123abcd"
    with open(strange, "w") as file:
        file.write("another's")
    (tmp_path / "a.txt.tmp-0123abcd").write_text("half")
    leftovers.remove(str(tmp_path), {"a.txt"}.__contains__)
    assert os.listdir(os.fsencode(tmp_path)) == [b"\xff.tmp-0123abcd"]


def test_a_missing_directory_has_no_leftovers(tmp_path):
    leftovers.remove(str(tmp_path / "absent"), lambda name: True)
    assert os.listdir(tmp_path) == []


def test_what_a_link_points_to_stays(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("another's")
    work = tmp_path / "work"
    work.mkdir()
    (work / "1.tmp-0123abcd").symlink_to(other)
    (work / "2.tmp-0123abcd").mkdir()
    (work / "2.tmp-0123abcd" / "link").symlink_to(other)
    leftovers.remove(str(work), lambda name: True)
    assert os.listdir(work) == []
    assert (other / "precious").read_text() == "another's"


def test_only_an_empty_directory_is_removed(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("")
    for name in ("empty", "full", "absent"):
        leftovers.remove_if_empty(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["full"]


def test_remote_leftovers_are_removed():
    for name in ("a.txt", "a.txt.tmp-0123abcd", "b.txt.tmp-0123abcd"):
        files.write_text(f"ram://leftovers/{name}", "text")
    leftovers.remove("ram://leftovers", {"a.txt"}.__contains__)
    assert sorted(tf.io.gfile.listdir("ram://leftovers")) == [
        "a.txt",
        "b.txt.tmp-0123abcd",
    ]


_HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)
print("held", flush=True)
sys.stdin.read()
"""


def test_files_of_a_living_process_stay(tmp_path):
    (tmp_path / "a.txt.tmp-0123abcd").write_text("half")
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    with leftovers.tidied(str(tmp_path), {"a.txt"}.__contains__):
        assert os.listdir(tmp_path) == ["a.txt.tmp-0123abcd"]
    other.communicate()
    with leftovers.tidied(str(tmp_path), {"a.txt"}.__contains__):
        assert os.listdir(tmp_path) == []
        # This process counts as living to others meanwhile.
        (tmp_path / "a.txt.tmp-0123abcd").write_text("half")
        with leftovers.tidied(str(tmp_path), {"a.txt"}.__contains__):
            assert os.listdir(tmp_path) == ["a.txt.tmp-0123abcd"]
    with leftovers.tidied(str(tmp_path), {"a.txt"}.__contains__):
        assert os.listdir(tmp_path) == []


def test_leftovers_are_removed_before_others_can_write(tmp_path):
    def tidy(age):
        assert age == 0
        with leftovers.shared(str(tmp_path), lambda age: pytest.fail("not alone")):
            pass

    # The lock is exclusive meanwhile: the inner attempts to share it fail.
    with mock.patch.object(leftovers.time, "sleep") as sleep:
        with leftovers.shared(str(tmp_path), tidy):
            sleep.assert_called()


@pytest.mark.parametrize("days, left", [(0.5, ["a.txt.tmp-0123abcd"]), (2, [])])
def test_without_locks_only_old_files_are_leftovers(tmp_path, monkeypatch, days, left):
    def no_locks(*arguments):
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    half = tmp_path / "a.txt.tmp-0123abcd"
    half.write_text("half")
    changed = time.time() - days * 86400
    os.utime(half, (changed, changed))
    with leftovers.tidied(str(tmp_path), {"a.txt"}.__contains__):
        assert os.listdir(tmp_path) == left


def test_new_files_on_an_object_store_are_not_leftovers():
    files.write_text("ram://no_locks/a.txt.tmp-0123abcd", "half")
    with leftovers.tidied("ram://no_locks", {"a.txt"}.__contains__):
        assert tf.io.gfile.exists("ram://no_locks/a.txt.tmp-0123abcd")


def test_a_directory_is_made_before_its_content(tmp_path):
    with leftovers.making(str(tmp_path / "a/b")):
        assert (tmp_path / "a/b").is_dir()
    assert (tmp_path / "a/b").is_dir()


def test_a_directory_that_stays_empty_is_removed_after_an_error(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyError):
        with leftovers.making(str(tmp_path / "old/a/b")):
            raise KeyError
    assert os.listdir(tmp_path / "old") == []


def test_a_directory_with_something_in_it_stays_after_an_error(tmp_path):
    with pytest.raises(KeyError):
        with leftovers.making(str(tmp_path / "a/b")):
            (tmp_path / "a/file").touch()
            raise KeyError
    assert os.listdir(tmp_path / "a") == ["file"]
