import os
import subprocess
import sys

import pytest

from tf_student.runtime import atomic


def test_a_file_is_written(tmp_path):
    atomic.write_bytes(str(tmp_path / "a.png"), b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_is_replaced(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    atomic.write_bytes(str(tmp_path / "a.png"), b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, error, step
):
    (tmp_path / "a.png").write_bytes(b"old")

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(error):
        atomic.write_bytes(str(tmp_path / "a.png"), b"new")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_missing_directory_is_the_error_that_is_raised(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic.write_bytes(str(tmp_path / "missing" / "a.png"), b"new")


def test_temporary_names_are_in_the_same_directory_and_differ():
    names = {atomic.temporary_name("runs/a/") for _ in range(10)}
    assert len(names) == 10
    assert all(name.startswith("runs/a.tmp-") for name in names)


def test_tensorflow_is_not_imported():
    program = (
        "import sys, tf_student.runtime.atomic; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
