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
    assert tensors.read("half").dtype == np.float32


def test_bfloat16_in_safetensors(tmp_path):
    import ml_dtypes

    path = str(tmp_path / "a.safetensors")
    values = np.array([1.5, -2.0, 3.25], np.float32)
    save_file({"weight": values.astype(ml_dtypes.bfloat16)}, path)
    weight = tensor_files.safetensors(path).read("weight")
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, values)


def test_the_ema_weights_among_several_in_safetensors(tmp_path):
    path = str(tmp_path / "a.safetensors")
    ours = {"model.conv_in.weight": np.zeros(2, "f")}
    save_file({**ours, "ema_model.conv_in.weight": np.ones(2, "f")}, path)
    tensors = tensor_files.safetensors(path)
    np.testing.assert_array_equal(tensors.read("conv_in.weight"), [1, 1])
    raw = tensor_files.safetensors(path, "model")
    np.testing.assert_array_equal(raw.read("conv_in.weight"), [0, 0])


def test_a_header_that_is_too_long_for_the_memory(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((90 * 2**20).to_bytes(8, "little") + b"{}")
    with pytest.raises(InputError, match="its header is longer than 8,388,608 bytes"):
        tensor_files.safetensors(str(path))


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


def test_a_damaged_checkpoint(tmp_path):
    (tmp_path / "a.index").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        tensor_files.checkpoint(str(tmp_path / "a"))
