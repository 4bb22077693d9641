import os
import sys

import h5py
import numpy as np
import pytest

from tf_student.convert import h5_file, h5_index
from tf_student.runtime.errors import InputError


def write(path, arrays, **options):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense", b"nothing"]
        file.create_group("nothing").attrs["weight_names"] = np.array([], "S9")
        group = file.create_group("dense")
        group.attrs["weight_names"] = [f"dense/w_{i}:0" for i in range(len(arrays))]
        for i, array in enumerate(arrays):
            group.create_dataset(f"dense/w_{i}:0", data=array, **options)
    return str(path)


def test_weights_are_read_where_they_are(tmp_path):
    arrays = [np.arange(6, dtype="f").reshape(2, 3), np.float64([[1.5]])]
    tensors, layers = h5_file.keras_weights(write(tmp_path / "a.h5", arrays))
    assert layers == 1
    assert tensors.shapes == {"0": (2, 3), "1": (1, 1)}
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(tensors.read(str(i)), array)


def test_names_that_keras_splits(tmp_path):
    path = write(tmp_path / "a.h5", [np.ones(2, "f"), np.zeros(2, "f")])
    with h5py.File(path, "a") as file:
        attributes = file["dense"].attrs
        names = list(attributes["weight_names"])
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = names[:1], names[1:]
    tensors, _ = h5_file.keras_weights(path)
    np.testing.assert_array_equal(tensors.read("1"), [0, 0])


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\nrest"])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a Keras weights file"):
        h5_file.keras_weights(str(path))


def test_a_shortened_file(tmp_path):
    path = write(tmp_path / "a.h5", [np.ones(1000, "f")])
    os.truncate(path, os.path.getsize(path) - 100)
    with pytest.raises(InputError, match="truncated file"):
        h5_file.keras_weights(path)


def test_compressed_weights(tmp_path):
    path = write(tmp_path / "a.h5", [np.ones(9, "f")], chunks=(3,), compression="gzip")
    with pytest.raises(InputError, match="w_0:0 is compressed"):
        h5_file.keras_weights(path)


def test_weights_of_another_type(tmp_path):
    path = write(tmp_path / "a.h5", [np.ones(9, np.int32)])
    with pytest.raises(InputError, match=r"must hold floats\. Received: type <i4"):
        h5_file.keras_weights(path)


@pytest.mark.parametrize(
    ("code", "answer", "message"),
    [
        (-11, b"", "HDF5 ended with exit code -11"),
        (0, b'{"layers": [[[[3], "<f4", 90]]]}', "a weight reaches beyond its end"),
        (0, b'{"layers": [[[[3], "<f4", -1]]]}', "a weight reaches beyond its end"),
    ],
)
def test_what_the_library_says_is_checked(tmp_path, monkeypatch, code, answer, message):
    path = tmp_path / "a.h5"
    path.write_bytes(b"\0" * 100)
    program = tmp_path / "program.py"
    end = f"os.kill(os.getpid(), {-code})" if code else ""
    program.write_text(f"import os, sys\nsys.stdout.write({answer.decode()!r})\n{end}")
    monkeypatch.setattr(h5_index, "__file__", str(program))
    with pytest.raises(InputError, match=message):
        h5_file.keras_weights(str(path))


def test_a_file_that_keeps_the_library_busy(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text("while True: pass")
    monkeypatch.setattr(h5_index, "__file__", str(program))
    monkeypatch.setattr(h5_file, "_TIMEOUT", 0.5)
    with pytest.raises(InputError, match="reading it does not end"):
        h5_file.keras_weights(str(tmp_path / "a.h5"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems ignore the limit")
def test_a_file_that_asks_for_much_memory(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {os.path.dirname(h5_index.__file__)!r})\n"
        "import h5_index, h5py\n"
        "h5_index.index = lambda file: bytearray(2**30)\n"
        "h5_index.main(sys.argv[1])\n"
    )
    monkeypatch.setattr(h5_index, "__file__", str(program))
    with pytest.raises(InputError, match="not a Keras weights file: MemoryError"):
        h5_file.keras_weights(write(tmp_path / "a.h5", [np.ones(1, "f")]))
