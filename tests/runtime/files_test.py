import hashlib
import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError


def test_a_file_appears_when_it_is_complete(tmp_path):
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


def test_an_exception_before_the_first_write_is_raised(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with files.replacing(str(tmp_path / "a.txt")):
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_a_directory_appears_when_it_is_complete(tmp_path):
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


def test_a_directory_that_appeared_meanwhile_remains(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(InputError, match="model was written by another process"):
        with files.replacing_directory(str(path)) as temporary:
            assert os.path.isdir(temporary)
            path.mkdir()
            (path / "a.txt").write_text("another's")
    assert (path / "a.txt").read_text() == "another's"
    assert os.listdir(tmp_path) == ["model"]


def test_json_is_read_as_it_was_written(tmp_path):
    path = str(tmp_path / "a.json")
    value = {"numbers": [1, 2.5], "text": "é", "nothing": None}
    files.write_json(path, value)
    assert files.read_json(path) == value


def test_arrays_are_read_as_they_were_written(tmp_path):
    path = str(tmp_path / "a.npz")
    files.write_npz(path, {"numbers": np.arange(3), "text": np.str_("é")})
    with files.open_npz(path) as arrays:
        assert list(arrays) == ["numbers", "text"]
        assert arrays["numbers"].tolist() == [0, 1, 2]
        assert str(arrays["text"]) == "é"


def test_arrays_are_read_from_a_remote_file_system():
    files.write_npz("ram://folder/a.npz", {"numbers": np.arange(3)})
    with files.open_npz("ram://folder/a.npz") as arrays:
        assert arrays["numbers"].tolist() == [0, 1, 2]


def npy_file() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros(3))
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"P", b"PK\x03\x04 cut off", b"nonsense", b"\x80\x04N.", npy_file()],
    ids=["empty", "one byte", "cut off", "nonsense", "pickle", "npy"],
)
def test_a_damaged_npz_file_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        with files.open_npz(str(path)) as arrays:
            list(arrays)
    text = str(error.value)
    assert text.startswith(f"{path} is not an .npz file of arrays: ")
    assert "\n" not in text


def test_a_damaged_array_is_named_where_it_is_read(tmp_path):
    path = tmp_path / "a.npz"
    files.write_npz(str(path), {"numbers": np.arange(1000)})
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not an \.npz file of arrays: .*CRC"):
        with files.open_npz(str(path)) as arrays:
            assert list(arrays) == ["numbers"]
            arrays["numbers"]


def test_a_missing_array_is_named(tmp_path):
    files.write_npz(str(tmp_path / "a.npz"), {"numbers": np.arange(3)})
    with pytest.raises(InputError, match="others is not a file in the archive"):
        with files.open_npz(str(tmp_path / "a.npz")) as arrays:
            arrays["others"]


def test_a_missing_npz_file_is_not_found(tmp_path):
    with pytest.raises(tf.errors.NotFoundError):
        with files.open_npz(str(tmp_path / "a.npz")):
            pass


@pytest.mark.parametrize("error", [InputError("its own message"), ZeroDivisionError()])
def test_other_errors_of_the_block_are_raised_unchanged(tmp_path, error):
    files.write_npz(str(tmp_path / "a.npz"), {"numbers": np.arange(3)})
    with pytest.raises(type(error)) as raised:
        with files.open_npz(str(tmp_path / "a.npz")):
            raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 3_000_000, hashlib.sha256(b"a" * 3_000_000).hexdigest()),
    ],
    ids=["empty", "abc", "several blocks"],
)
def test_sha256_of_a_file_and_its_length(tmp_path, content, digest):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert files.sha256(str(path)) == (digest, len(content))


def test_blocks_are_the_content_of_a_file(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    blocks = list(files.blocks(str(tmp_path / "a")))
    assert b"".join(blocks) == content
    assert len(blocks) > 1


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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{}",
        b'{"a": "\xe9"}',
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"9" * 5000,
        b"\x00" * 50,
    ],
    ids=[
        "empty",
        "utf-16",
        "latin-1",
        "deep list",
        "deep object",
        "nan",
        "infinity",
        "huge",
        "zeros",
    ],
)
def test_json_that_anything_may_have_written_is_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        files.read_json(str(path))
    assert str(error.value).startswith(f"{path} is not valid JSON: ")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"', "true"])
def test_an_object_is_not_another_value(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json must hold a JSON object"):
        files.read_object(str(path))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b"{", b"", b"[1,]"]
)
def test_text_that_is_no_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json is not valid JSON"):
        files.read_json(str(path))


def test_json_with_the_mark_of_windows_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert files.read_object(str(path)) == {"a": 1}
