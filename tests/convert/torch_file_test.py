import pathlib
import pickle

import numpy as np
import pytest

from tests.convert import torch_writer
from tf_student.convert import torch_file
from tf_student.runtime.errors import InputError

ARRAYS = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "half": np.ones(3, np.float16),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}


@pytest.fixture(params=["archive", "stream"])
def path(request, tmp_path):
    legacy = request.param == "stream"
    write = torch_writer.write_stream if legacy else torch_writer.write_archive
    opcodes = torch_writer.state_dict(ARRAYS, legacy=legacy)
    write(tmp_path / "a.pt", opcodes, list(ARRAYS.values()))
    return tmp_path / "a.pt"


def test_tensors_are_read_as_float32(path):
    tensors = torch_file.read(str(path))
    assert tensors.shapes == {k: v.shape for k, v in ARRAYS.items()}
    for name, array in ARRAYS.items():
        assert tensors.read(name).dtype == np.float32
        np.testing.assert_array_equal(tensors.read(name), array)


@pytest.mark.parametrize("keep", [0, 7, 200, -10])
def test_a_truncated_file(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged"):
        torch_file.read(str(path)).read("transposed")


@pytest.mark.parametrize(
    "write", [torch_writer.write_archive, torch_writer.write_stream]
)
def test_code_is_refused_and_not_run(tmp_path, write):
    spoiled = tmp_path / "spoiled"
    opcodes = torch_writer.call(
        "posix", "system", torch_writer.plain(f"touch {spoiled}")
    )
    write(tmp_path / "a.pt", torch_writer.as_list(opcodes), [])
    with pytest.raises(
        InputError, match=r"reference to posix\.system; nothing was run"
    ):
        torch_file.read(str(tmp_path / "a.pt"))
    assert not spoiled.exists()


def test_a_tensor_beyond_its_storage(tmp_path):
    array = np.zeros((4, 4), np.float32)
    opcodes = torch_writer.state_dict({"weight": array})
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, [array[:1]])
    with pytest.raises(InputError, match="damaged at weight"):
        torch_file.read(str(tmp_path / "a.pt")).read("weight")


def test_a_file_without_tensors(tmp_path):
    torch_writer.write_archive(tmp_path / "a.pt", torch_writer.plain({"epoch": 3}), [])
    with pytest.raises(InputError, match="must hold a state dict of tensors"):
        torch_file.read(str(tmp_path / "a.pt"))


def refused(tmp_path, opcodes, arrays=()):
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, list(arrays))
    with pytest.raises(InputError) as error:
        tensors = torch_file.read(str(tmp_path / "a.pt"))
        for name in tensors.shapes:
            tensors.read(name)
    return str(error.value)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2, 2), (-1000, 1000), 0),
        ((2, 2), (2, 1), -4),
        ((1000, 1000), (0, 0), 0),
        ((2, 2), (2,), 0),
        (("2", "2"), (2, 1), 0),
        ((2.0, 2.0), (2, 1), 0),
        ((2**70, 1), (1, 1), 0),
    ],
)
def test_a_tensor_that_is_none(tmp_path, shape, strides, offset):
    array = np.zeros(4, np.float32)
    opcodes = torch_writer.tensor(
        array, "0", shape=shape, strides=strides, offset=offset
    )
    opcodes = torch_writer.as_dict({"weight": opcodes})
    assert "damaged" in refused(tmp_path, opcodes, [array])


def test_lists_of_lists_of_the_same_list_end(tmp_path):
    # Each level holds the one below twice: 2^60 leaves in some hundred bytes.
    opcodes = b"]q\x00"
    for level in range(60):
        get, put = b"h" + bytes([level]), b"q" + bytes([level + 1])
        opcodes += b"0]" + put + b"(" + get + get + b"e"
    assert "must hold a state dict" in refused(tmp_path, opcodes)


@pytest.mark.parametrize("store", [b"r\xff\xff\xff\x7f", b"p2147483647\n"])
def test_a_number_in_the_file_takes_no_memory(tmp_path, store):
    opcodes = torch_writer.plain({"epoch": 3}) + store
    assert "its memo has the number 2147483647" in refused(tmp_path, opcodes)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_numbers_of_the_memo_that_picklers_write_are_accepted(tmp_path, protocol):
    content = {"names": [f"layer {i}" for i in range(300)], "more": {"epoch": 3}}
    opcodes = pickle.dumps([content] * 2, protocol)[:-1]
    assert "must hold a state dict" in refused(tmp_path, opcodes)


def test_a_length_beyond_the_end_takes_no_memory(tmp_path):
    # BINBYTES8 of 2^62 bytes.
    assert "damaged" in refused(tmp_path, b"\x8e" + (2**62).to_bytes(8, "little"))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("field", ["offset", "strides", "dtype"])
def test_fields_of_a_tensor_cannot_be_set(tmp_path, field, protocol):
    array = np.zeros(4, np.float32)
    state = pickle.dumps({field: {"offset": -4, "strides": (-9,)}.get(field, "<f8")}, 2)
    opcodes = torch_writer.tensor(array, "0") + state[2:-1] + b"b"
    if protocol == 4:
        # The state of an object with slots.
        opcodes = torch_writer.tensor(array, "0") + b"N" + state[2:-1] + b"\x86b"
    opcodes = torch_writer.as_dict({"weight": opcodes})
    assert "fields must not be set" in refused(tmp_path, opcodes, [array])


def test_attributes_of_a_state_dict_are_accepted(tmp_path):
    # PyTorch's Module.state_dict() sets `_metadata`.
    array = np.arange(4, dtype=np.float32)
    opcodes = torch_writer.state_dict({"weight": array})
    opcodes += torch_writer.plain({"_metadata": {"version": 1}}) + b"b"
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, [array])
    tensors = torch_file.read(str(tmp_path / "a.pt"))
    np.testing.assert_array_equal(tensors.read("weight"), array)


def test_what_a_pickle_sets_of_a_function_is_gone_with_it(tmp_path):
    array = np.arange(4, dtype=np.float32)
    spoiled = b"ctorch._utils\n_rebuild_tensor_v2\n" + b"N"
    spoiled += torch_writer.plain({"__defaults__": (1, 2, 3, 4)}) + b"\x86b"
    opcodes = torch_writer.as_list(spoiled, torch_writer.state_dict({"weight": array}))
    torch_writer.write_archive(tmp_path / "a.pt", opcodes, [array])
    tensors = torch_file.read(str(tmp_path / "a.pt"))
    np.testing.assert_array_equal(tensors.read("weight"), array)


CRAFTED = pathlib.Path(__file__).resolve().parents[3] / "shared/cases/torch_bounds"


@pytest.mark.skipif(not CRAFTED.exists(), reason=f"{CRAFTED} is missing")
@pytest.mark.parametrize("name", ["oob_leak", "oob_segfault", "build_dtype"])
def test_crafted_files_are_refused_in_one_line(name):
    with pytest.raises(InputError, match="fields must not be set") as error:
        torch_file.read(str(CRAFTED / f"{name}.pt"))
    assert "\n" not in str(error.value)


def test_a_compressed_archive_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", torch_writer.pickled(b"}"))
    with pytest.raises(InputError, match="it is compressed"):
        torch_file.read(str(path))


def test_bfloat16_is_named(tmp_path):
    opcodes = b"(X\x07\x00\x00\x00storagectorch\nBFloat16Storage\nK\x00K\x00K\x01tQ"
    assert "it holds a BFloat16Storage" in refused(tmp_path, opcodes)
