"""Files on a full disk, in whose place the system has a device, /dev/full."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tf_student.data import grids
from tf_student.runtime import atomic, files
from tf_student.runtime.errors import first_line

_WRITERS = {
    "text": lambda path: files.write_text(path, "text" * 10**5),
    "json": lambda path: files.write_json(path, {"a": ["b"] * 10**5}),
    "npz": lambda path: files.write_npz(path, {"a": np.zeros(10**5)}),
    "png": lambda path: grids.write_png(path, np.zeros([8, 8, 3], np.uint8)),
    "bytes": lambda path: atomic.write_bytes(path, b"bytes"),
}


@pytest.mark.parametrize("write", _WRITERS.values(), ids=_WRITERS)
def test_full_disk_is_one_line_and_keeps_the_old_file(write, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def on_full_disk(path):
        os.symlink("/dev/full", f"{path}.new")
        return f"{path}.new"

    monkeypatch.setattr(atomic, "temporary_name", on_full_disk)
    with pytest.raises((OSError, tf.errors.OpError)) as error:
        write(str(path))
    line = first_line(error.value)
    assert "No space left on device" in line
    assert "{{" not in line and "[Op:" not in line
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]
