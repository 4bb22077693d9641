import dataclasses
import zipfile
from unittest import mock

import numpy as np
import pytest

from tests.networks import TINY, randomise
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.models import weights_file
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


def refusal(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_the_weights_come_back(tmp_path, unet):
    weights_file.save(str(tmp_path), unet)
    loaded = UNet(TINY)
    weights_file.load(str(tmp_path), loaded)
    for actual, expected in zip(loaded.get_weights(), unet.get_weights(), strict=True):
        assert np.array_equal(actual, expected)


def test_an_unfinished_run_is_named(tmp_path):
    text = refusal(lambda: weights_file.load(str(tmp_path), UNet(TINY)))
    assert text == f"{tmp_path} has no model.keras. Has its training finished?"


@pytest.mark.parametrize("part", ["cut", "flipped", "empty"])
def test_a_damaged_model_is_named(tmp_path, unet, part):
    weights_file.save(str(tmp_path), unet)
    path = tmp_path / "model.keras"
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :]
    path.write_bytes({"cut": whole[:half], "flipped": flipped, "empty": b""}[part])
    text = refusal(lambda: weights_file.load(str(tmp_path), UNet(TINY)))
    assert text.startswith(f"{path} cannot be loaded: ")
    assert "\n" not in text


def test_a_model_of_another_architecture_is_named(tmp_path):
    weights_file.save(str(tmp_path), UNet(dataclasses.replace(TINY, base_width=16)))
    text = refusal(lambda: weights_file.load(str(tmp_path), UNet(TINY)))
    assert text.startswith(f"{tmp_path / 'model.keras'} cannot be loaded: ")


def test_a_failed_save_leaves_the_old_model(tmp_path, unet):
    weights_file.save(str(tmp_path), unet)
    before = (tmp_path / "model.keras").read_bytes()
    target = "tf_student.models.weights_file.shutil.copyfileobj"
    with mock.patch(target, side_effect=OSError("no space left on device")):
        with pytest.raises(OSError, match="no space"):
            weights_file.save(str(tmp_path), UNet(TINY))
    assert (tmp_path / "model.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_the_file_is_one_of_keras(tmp_path, unet):
    weights_file.save(str(tmp_path), unet)
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        names = {"config.json", "metadata.json", "model.weights.h5"}
        assert set(archive.namelist()) == names


@pytest.mark.parametrize(
    ("network", "other"), [("teacher", "student"), ("student", "teacher")]
)
def test_the_run_of_another_network_is_refused(tmp_path, network, other):
    configs = {"diffusion": DiffusionConfig()}
    RunDirectory.claim(str(tmp_path), "save", configs, network=network)
    run = weights_file.open_run(str(tmp_path), network)
    assert run.config("diffusion", DiffusionConfig) == DiffusionConfig()
    text = refusal(lambda: weights_file.open_run(str(tmp_path), other))
    assert text == f"{tmp_path} must have a {other}. Received: a {network}."


def test_a_run_of_an_unknown_network_is_opened(tmp_path):
    (tmp_path / "config.json").write_text('{"tf_student": "0.1.0"}')
    assert weights_file.open_run(str(tmp_path), "teacher").network == ""
