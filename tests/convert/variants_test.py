"""Networks of other libraries, against outputs that were recorded there."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.diffusion.samplers import make_sampler
from tf_student.models.convert import convert_weights
from tf_student.models.teacher import Teacher

RECORDED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "parity"
DIFFUSERS = [
    "asymmetric_attention",
    "class_conditional",
    "cosine",
    "defaults",
    "learned_variance",
    "resnet_blocks",
    "sample_prediction",
    "scale_shift_resnet",
    "v_prediction",
]
GUIDED = ["conditional_updown", "cosine_four_heads", "new_attention_order", "plain"]
CASES = [
    *(f"diffusers_variants/{name}" for name in DIFFUSERS),
    *(f"guided_diffusion/{name}" for name in GUIDED),
]
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=f"{RECORDED} is missing")


def channels_last(array):
    return array.transpose(0, 2, 3, 1)


def source(case):
    guided = case.startswith("guided_diffusion")
    return str(RECORDED / case / "model.pt" if guided else RECORDED / case)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    folder = RECORDED / request.param
    teacher = Teacher.from_pretrained(source(request.param))
    return request.param, teacher, np.load(folder / "reference.npz")


def network(teacher, recorded):
    """The network as a function of x and t, with the recorded labels."""
    labels = recorded["class_labels"] if "class_labels" in recorded else None
    return lambda x, t: teacher.unet(x, t, labels=labels)


def test_outputs_are_the_recorded_ones(case):
    _, teacher, recorded = case
    x, t = channels_last(recorded["x"]), recorded["t"].astype(np.int32)
    y = network(teacher, recorded)(x, t)
    expected = channels_last(recorded["y"])[..., : teacher.unet.config.channels]
    assert np.abs(y - expected).max() < 1e-4


def test_the_process_is_the_recorded_one(case):
    _, teacher, recorded = case
    bars = schedules.alpha_bars(teacher.diffusion)
    np.testing.assert_allclose(bars, recorded["alphas_cumprod"], atol=2e-6)


@pytest.mark.parametrize("clipped", [False, True])
def test_trajectories_are_the_recorded_ones(case, clipped):
    name, teacher, recorded = case
    guided = name.startswith("guided_diffusion")
    steps = recorded["ddim_timesteps"]
    sampler = SamplerConfig(
        spacing="trailing" if teacher.diffusion.zero_terminal_snr else "uniform",
        calls=len(steps),
        clipping=("both" if guided else "x_0") if clipped else "none",
    )
    np.testing.assert_array_equal(
        schedules.sampling_timesteps(sampler, teacher.diffusion), steps
    )
    sample = make_sampler(network(teacher, recorded), teacher.diffusion, sampler)
    actual = sample(tf.constant(channels_last(recorded["x"])))
    expected = channels_last(recorded["ddim_clipped" if clipped else "ddim_unclipped"])
    assert np.abs(actual - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", DIFFUSERS)
def test_there_and_back_is_bit_for_bit(name, tmp_path):
    folder = RECORDED / "diffusers_variants" / name
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    before = convert_weights(str(folder), str(ours))
    convert_weights(str(ours), str(theirs))
    file = "diffusion_pytorch_model.safetensors"
    first, second = load_file(folder / "unet" / file), load_file(theirs / file)
    assert {k: v.tobytes() for k, v in first.items()} == {
        k: v.tobytes() for k, v in second.items()
    }
    again = Teacher.from_pretrained(str(theirs))
    assert again.unet.config == before.unet.config
    assert again.diffusion == before.diffusion


def test_options_of_guided_diffusion_must_be_known(tmp_path):
    from tf_student.runtime.errors import InputError

    folder = RECORDED / "guided_diffusion" / "plain"
    (tmp_path / "model.pt").write_bytes((folder / "model.pt").read_bytes())
    with pytest.raises(InputError, match="does not state image_size, num_heads or"):
        Teacher.from_pretrained(str(tmp_path / "model.pt"))
    options = json.loads((folder / "options.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(options))
    assert Teacher.from_pretrained(str(tmp_path / "model.pt")).image_shape[0] == 32
