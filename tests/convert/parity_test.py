"""Against outputs of diffusers that were recorded, and live where it is installed."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.networks import TINY, randomise
from tf_student.convert import diffusers_config
from tf_student.diffusion import samplers, schedules
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.convert import convert_weights
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet

RECORDED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "parity"
CASES = ["cifar10_quarter", "celeba64_quarter", "lsun256_quarter"]
needs_recordings = pytest.mark.skipif(
    not RECORDED.exists(), reason=f"{RECORDED} is missing"
)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    folder = RECORDED / request.param
    return folder, Teacher.from_pretrained(str(folder)).unet


def channels_last(array):
    return array.transpose(0, 2, 3, 1)


@needs_recordings
def test_outputs_are_the_recorded_ones(case):
    folder, unet = case
    recorded = np.load(folder / "forward.npz")
    y = unet(channels_last(recorded["x"]), recorded["timesteps"].astype(np.int32))
    assert np.abs(y - channels_last(recorded["y"])).max() < 1e-4


@needs_recordings
def test_there_and_back_is_bit_for_bit(case, tmp_path):
    folder, _ = case
    convert_weights(str(folder), str(tmp_path / "ours"))
    convert_weights(str(tmp_path / "ours"), str(tmp_path / "theirs"))
    name = "diffusion_pytorch_model.safetensors"
    before, after = load_file(folder / name), load_file(tmp_path / "theirs" / name)
    assert set(before) == set(after)
    for key, array in before.items():
        assert array.tobytes() == after[key].tobytes(), key
    config = json.loads((folder / "config.json").read_text())
    stored = {k: v for k, v in config.items() if v is not None}
    del stored["_diffusers_version"]
    written = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert {k: v for k, v in written.items() if v is not None} == stored


@needs_recordings
def test_the_trajectory_is_the_recorded_one():
    folder = RECORDED / "cifar10_quarter"
    teacher = Teacher.from_pretrained(str(folder))
    recorded = np.load(folder / "ddim10.npz")
    x_0 = samplers.ddim_sample(
        lambda x, t: teacher.unet(x, t),
        tf.constant(channels_last(recorded["x_T"])),
        timesteps=np.arange(900, -1, -100, dtype=np.int32),
        alpha_bars=schedules.alpha_bars(teacher.diffusion),
    )
    expected = channels_last(recorded["x_0"])
    assert np.abs(x_0 - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.fixture
def exported(tmp_path):
    """A random network of ours, in diffusers' layout."""
    diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
    pytest.importorskip("torch", reason="PyTorch is not installed")
    teacher = Teacher(randomise(UNet(TINY)))
    teacher.save(str(tmp_path / "ours"))
    convert_weights(str(tmp_path / "ours"), str(tmp_path / "theirs"))
    return diffusers, str(tmp_path / "theirs"), teacher


def test_diffusers_gives_the_same_output_live(exported):
    import torch

    diffusers, folder, teacher = exported
    theirs = diffusers.UNet2DModel.from_pretrained(folder)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    t = np.array([3, 999], np.int32)
    with torch.no_grad():
        y = theirs(torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(t)).sample
    np.testing.assert_allclose(teacher.unet(x, t), channels_last(y.numpy()), atol=1e-4)


def test_diffusers_samples_the_same_images_live(exported):
    import torch

    diffusers, folder, teacher = exported
    theirs = diffusers.UNet2DModel.from_pretrained(folder)
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
    scheduler.set_timesteps(10)
    z = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    x = torch.tensor(z.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(theirs(x, t).sample, t, x).prev_sample
    sample = teacher.sampler(SamplerConfig("uniform", 10))
    expected = channels_last(x.numpy())
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        sample(tf.constant(z)) / scale, expected / scale, atol=1e-3
    )


def test_pytorchs_own_files_are_read_live(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from tf_student.convert import torch_file

    values = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.ones(2).half()}
    for legacy in (False, True):
        path = str(tmp_path / f"{legacy}.pt")
        torch.save(
            [values, {"step": 3}], path, _use_new_zipfile_serialization=not legacy
        )
        tensors = torch_file.read(path)
        for name, value in values.items():
            np.testing.assert_array_equal(tensors.read(name), value.float().numpy())


def test_what_is_written_is_read_by_diffusers_live(exported):
    diffusers, folder, _ = exported
    values = dict(diffusers.UNet2DModel.load_config(folder))
    assert diffusers_config.read_config(values, "config.json") == TINY
