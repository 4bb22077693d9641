import dataclasses
from unittest import mock

import numpy as np
import pytest

from tests.networks import TINY, randomise
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.models import model_directory
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime import run_directory
from tf_student.runtime.errors import InputError

Z = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
T = np.array([3, 9], np.int32)


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


@pytest.fixture
def directory(tmp_path):
    configs = {"unet": TINY, "diffusion": DiffusionConfig(timesteps=10)}
    run_directory.claim(str(tmp_path), "teacher", configs)
    return tmp_path


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_a_teacher_comes_back(directory, unet):
    model_directory.save(str(directory), unet)
    loaded = model_directory.load_teacher(str(directory))
    assert loaded.config == TINY
    assert np.array_equal(loaded(Z, T), unet(Z, T))


def test_a_student_comes_back_with_its_last_step(directory, unet):
    student = Student(unet, timesteps=10)
    model_directory.save(str(directory), student)
    loaded = model_directory.load_student(str(directory))
    assert loaded.timesteps == 10
    assert np.array_equal(loaded(Z), student(Z))


def test_a_network_may_compute_in_another_type(directory, unet):
    model_directory.save(str(directory), unet)
    loaded = model_directory.load_teacher(str(directory), "mixed_bfloat16")
    assert loaded.compute_dtype == "bfloat16"
    assert loaded.stem.compute_dtype == "bfloat16"
    assert {weight.dtype for weight in loaded.weights} == {"float32"}


def test_a_directory_without_a_run_is_named(tmp_path):
    text = refusal(lambda: model_directory.load_teacher(str(tmp_path)))
    assert text == f"{tmp_path} holds no config.json; is it a run's directory?"


def test_an_unfinished_run_is_named(directory):
    text = refusal(lambda: model_directory.load_teacher(str(directory)))
    assert text == f"{directory} holds no model.keras; is its training finished?"


@pytest.mark.parametrize("part", ["cut", "flipped", "empty"])
def test_a_damaged_model_is_named(directory, unet, part):
    model_directory.save(str(directory), unet)
    path = directory / "model.keras"
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :]
    path.write_bytes({"cut": whole[:half], "flipped": flipped, "empty": b""}[part])
    text = refusal(lambda: model_directory.load_teacher(str(directory)))
    assert text.startswith(f"{path} cannot be loaded: ")
    assert "\n" not in text


def test_a_model_of_another_architecture_is_named(directory):
    other = UNet(dataclasses.replace(TINY, base_width=16))
    model_directory.save(str(directory), other)
    text = refusal(lambda: model_directory.load_teacher(str(directory)))
    assert text.startswith(f"{directory / 'model.keras'} cannot be loaded: ")


def test_a_failed_save_leaves_the_old_model(directory, unet):
    model_directory.save(str(directory), unet)
    before = (directory / "model.keras").read_bytes()
    target = "tf_student.model_directory.shutil.copyfileobj"
    with mock.patch(target, side_effect=OSError("no space left on device")):
        with pytest.raises(OSError, match="no space"):
            model_directory.save(str(directory), UNet(TINY))
    assert (directory / "model.keras").read_bytes() == before
    names = sorted(path.name for path in directory.iterdir())
    assert names == ["config.json", "model.keras"]


def test_equal_networks_have_one_fingerprint(directory, unet):
    model_directory.save(str(directory), unet)
    loaded = model_directory.load_teacher(str(directory))
    fingerprint = model_directory.fingerprint(unet)
    assert model_directory.fingerprint(loaded) == fingerprint
    assert len(fingerprint) == 64


def test_one_changed_weight_changes_the_fingerprint(unet):
    copy = UNet(TINY)
    copy.set_weights(unet.get_weights())
    before = model_directory.fingerprint(copy)
    copy.head.bias.assign(np.nextafter(copy.head.bias.numpy(), np.float32(9)))
    assert before == model_directory.fingerprint(unet)
    assert model_directory.fingerprint(copy) != before


def test_another_epsilon_changes_the_fingerprint(unet):
    # Not a weight, but other images all the same.
    other = UNet(dataclasses.replace(TINY, norm_epsilon=1e-3))
    other.set_weights(unet.get_weights())
    assert model_directory.fingerprint(other) != model_directory.fingerprint(unet)
