import pickle
import resource
import struct

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
    # Python's own memo is an array as long as the largest number.
    opcodes = torch_writer.plain({"epoch": 3}) + store
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "must hold a state dict" in refused(tmp_path, opcodes)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000


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


def test_attributes_of_a_function_cannot_be_set(tmp_path):
    array = np.arange(4, dtype=np.float32)
    spoiled = b"ctorch._utils\n_rebuild_tensor_v2\n" + b"N"
    spoiled += torch_writer.plain({"__defaults__": (1, 2, 3, 4)}) + b"\x86b"
    opcodes = torch_writer.as_list(spoiled, torch_writer.state_dict({"weight": array}))
    assert "fields must not be set" in refused(tmp_path, opcodes, [array])


def test_a_compressed_archive_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", torch_writer.pickled(b"}"))
    with pytest.raises(InputError, match="it is compressed"):
        torch_file.read(str(path))


def of_type(array, kind):
    """The opcodes of a state dict whose tensor has a storage of another type."""
    opcodes = torch_writer.as_dict({"weight": torch_writer.tensor(array, "0")})
    return opcodes.replace(b"FloatStorage", kind)


@pytest.mark.parametrize("legacy", [False, True])
def test_bfloat16(tmp_path, legacy):
    values = np.array([1.5, -2.0, 3.25], np.float32)
    stored = (values.view(np.uint32) >> 16).astype(np.uint16)
    opcodes = torch_writer.tensor(values, "0", legacy=legacy)
    opcodes = opcodes.replace(b"FloatStorage", b"BFloat16Storage")
    opcodes = torch_writer.as_dict({"weight": opcodes})
    write = torch_writer.write_stream if legacy else torch_writer.write_archive
    write(tmp_path / "a.pt", opcodes, [stored])
    weight = torch_file.read(str(tmp_path / "a.pt")).read("weight")
    np.testing.assert_array_equal(weight, values)


def test_other_types_are_named(tmp_path):
    array = np.zeros(4, np.float32)
    message = refused(tmp_path, of_type(array, b"ComplexFloatStorage"), [array])
    assert "its type is ComplexFloatStorage, which is not supported" in message


def test_a_view_of_a_part_of_a_storage(tmp_path):
    array = np.arange(10, dtype=np.float32)
    part = torch_writer.tensor(array, "0", shape=(2, 3), strides=(4, 1), offset=1)
    torch_writer.write_archive(
        tmp_path / "a.pt", torch_writer.as_dict({"weight": part}), [array]
    )
    weight = torch_file.read(str(tmp_path / "a.pt")).read("weight")
    np.testing.assert_array_equal(weight, [[1, 2, 3], [5, 6, 7]])


def test_a_member_that_is_longer_than_the_file(tmp_path):
    array = np.zeros(4, np.float32)
    path = tmp_path / "a.pt"
    torch_writer.write_archive(path, torch_writer.state_dict({"w": array}), [array])
    content = path.read_bytes()
    # The two sizes of the storage in the directory at the end.
    at = content.rindex(b"archive/data/0") - 46 + 20
    path.write_bytes(content[:at] + b"\xff\xff\xff\x7f" * 2 + content[at + 8 :])
    with pytest.raises(InputError, match="archive/data/0 is longer than the file"):
        torch_file.read(str(path))


def test_an_archive_with_a_huge_directory(tmp_path):
    path = tmp_path / "a.pt"
    torch_writer.write_archive(path, b"}", [])
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    filling = b"\0" * 9 * 2**20
    # The length of the directory, and its place, which does not count.
    numbers = struct.pack("<I", len(content[:end]) + len(filling))
    end_record = content[end : end + 12] + numbers + b"\0" * 4 + content[end + 20 :]
    path.write_bytes(content[:end] + filling + end_record)
    with pytest.raises(InputError, match="its directory is too long"):
        torch_file.read(str(path))
