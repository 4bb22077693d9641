"""Random networks of diffusers, made and called here: where it is installed."""

import random

import numpy as np
import pytest

from tf_student.models.convert import convert_weights
from tf_student.models.teacher import Teacher

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def random_options(seed):
    """Options of a small `UNet2DModel`."""
    draw = random.Random(seed)
    levels = draw.randint(2, 3)
    attends = [[draw.random() < 0.4 for _ in range(levels)] for _ in range(2)]
    resnets = [[draw.random() < 0.3 for _ in range(levels)] for _ in range(2)]

    def kinds(side):
        number = side == "Up"
        return [
            f"Attn{side}Block2D"
            if attention
            else f"Resnet{side}sampleBlock2D"
            if resnet
            else f"{side}Block2D"
            for attention, resnet in zip(attends[number], resnets[number], strict=True)
        ]

    return {
        "sample_size": 16,
        "in_channels": draw.choice([1, 3]),
        "out_channels": 0,
        "block_out_channels": [draw.choice([16, 24, 32, 48]) for _ in range(levels)],
        "down_block_types": kinds("Down"),
        "up_block_types": kinds("Up"),
        "layers_per_block": draw.randint(1, 2),
        "norm_num_groups": draw.choice([4, 8]),
        "norm_eps": draw.choice([1e-5, 1e-6]),
        "attention_head_dim": draw.choice([None, 4, 8]),
        "add_attention": draw.random() < 0.8,
        "attn_norm_num_groups": None,
        "downsample_padding": draw.choice([0, 1]),
        "downsample_type": draw.choice(["conv", "resnet"]),
        "upsample_type": draw.choice(["conv", "resnet"]),
        "flip_sin_to_cos": draw.random() < 0.5,
        "freq_shift": draw.choice([0, 1]),
        "resnet_time_scale_shift": draw.choice(["default", "scale_shift"]),
        "num_class_embeds": draw.choice([None, None, 5]),
    }


@pytest.fixture(params=range(24))
def theirs(request):
    options = random_options(request.param)
    factor = 2 if request.param % 4 == 0 else 1
    options["out_channels"] = factor * options["in_channels"]
    torch.manual_seed(request.param)
    return diffusers.UNet2DModel(**options).eval()


def test_a_random_network_is_the_same_here_and_comes_back(theirs, tmp_path):
    theirs.save_pretrained(tmp_path / "theirs")
    teacher = Teacher.from_pretrained(str(tmp_path / "theirs"))
    config = teacher.unet.config
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *config.image_shape)).astype(np.float32)
    t = np.array([3, 950], np.int32)
    labels = np.array([0, 4], np.int32) if config.classes else None
    with torch.no_grad():
        expected = theirs(
            torch.tensor(x.transpose(0, 3, 1, 2).copy()),
            torch.tensor(t),
            None if labels is None else torch.tensor(labels),
        ).sample.numpy()
    actual = teacher.unet(x, t, labels=labels)
    expected = expected.transpose(0, 2, 3, 1)[..., : config.channels]
    assert np.abs(actual - expected).max() < 1e-4
    teacher.save(str(tmp_path / "ours"))
    convert_weights(str(tmp_path / "ours"), str(tmp_path / "back"))
    back = diffusers.UNet2DModel.from_pretrained(tmp_path / "back").state_dict()
    assert back.keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, back[name]), name
