import numpy as np
import pytest

from tests.convert import torch_writer
from tf_student.convert import torch_file
from tf_student.errors import InputError

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
    with pytest.raises(InputError, match=r"it wants to run posix\.system"):
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
    with pytest.raises(InputError, match="holds no state dict of tensors"):
        torch_file.read(str(tmp_path / "a.pt"))
