import numpy as np
import pytest
from safetensors.numpy import save_file

from tf_student.convert import tensor_files
from tf_student.runtime.errors import InputError


@pytest.fixture
def safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"half": np.ones((2, 3), np.float16), "full": np.zeros(4, "f")}, path)
    return path


def test_safetensors(safetensors):
    tensors = tensor_files.safetensors(str(safetensors))
    assert tensors.shapes == {"half": (2, 3), "full": (4,)}
    assert tensors.read("half").dtype == np.float16


def test_safetensors_of_another_type(tmp_path):
    path = str(tmp_path / "a.safetensors")
    save_file({"steps": np.ones(1, np.int64)}, path)
    with pytest.raises(InputError, match="Received: steps of I64"):
        tensor_files.safetensors(path)


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_truncated_safetensors(safetensors, keep):
    safetensors.write_bytes(safetensors.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged or not a safetensors file"):
        tensor_files.safetensors(str(safetensors))


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\nrest"])
def test_a_damaged_h5_file(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a Keras weights file"):
        tensor_files.keras_weights(str(path))


def test_a_damaged_checkpoint(tmp_path):
    (tmp_path / "a.index").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        tensor_files.checkpoint(str(tmp_path / "a"))
