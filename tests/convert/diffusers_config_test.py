import dataclasses

import pytest

from tf_student.convert import diffusers_config
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.presets import systems
from tf_student.runtime.errors import InputError

# As google/ddpm-cifar10-32 has it.
CIFAR10 = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [128, 256, 256, 256],
    "center_input_sample": False,
    "down_block_types": [
        "DownBlock2D",
        "AttnDownBlock2D",
        "DownBlock2D",
        "DownBlock2D",
    ],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}
SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_large",
}


def test_the_published_config_is_the_preset():
    config = diffusers_config.read_config(CIFAR10, "config.json")
    assert config == dataclasses.replace(systems.CIFAR10.unet, dropout=0.0)


@pytest.mark.parametrize("name", sorted(systems.PRESETS))
def test_what_is_written_is_read_again(name):
    preset = systems.get_preset(name)
    values = diffusers_config.write_config(preset.unet)
    assert diffusers_config.read_config(values, "config.json") == preset.unet
    values = diffusers_config.write_scheduler(preset.diffusion)
    assert diffusers_config.read_scheduler(values, "config.json") == preset.diffusion


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "Received: UNet2DConditionModel."),
        ({"act_fn": "gelu"}, "`act_fn` must be 'silu'. Received: act_fn='gelu'."),
        ({"out_channels": 6}, "a learned variance (out_channels=6 for in_channels=3)"),
        ({"out_channels": 1}, "`out_channels` must be consistent"),
        ({"downsample_padding": 1}, "`downsample_padding` must be 0"),
        ({"flip_sin_to_cos": True}, "`flip_sin_to_cos` must be False"),
        ({"resnet_time_scale_shift": "scale_shift"}, "must be 'default'"),
        ({"class_embed_type": "timestep"}, "`class_embed_type` must be None"),
        ({"attention_head_dim": 64}, "several heads is not supported"),
        ({"attn_norm_num_groups": 8}, "`attn_norm_num_groups` must be 32"),
        ({"time_embedding_dim": 100}, "`time_embedding_dim` must be consistent"),
        (
            {"block_out_channels": [128, 200, 256, 256]},
            "`block_out_channels` must be consistent",
        ),
        ({"up_block_types": ["UpBlock2D"] * 4}, "at the same levels on both sides"),
        ({"down_block_types": ["SkipDownBlock2D"] * 4}, "Received: SkipDownBlock2D."),
        ({"use_magic": True}, "an unsupported option: use_magic=True."),
        ({"sample_size": None}, "`sample_size` must be an integer"),
        ({"sample_size": [32, 64]}, "`sample_size` must be an integer"),
        ({"block_out_channels": []}, "`block_out_channels` must be positive"),
        ({"block_out_channels": [0, 0]}, "`block_out_channels` must be positive"),
        ({"down_block_types": None}, "`down_block_types` must be names"),
        ({"layers_per_block": "2"}, "`layers_per_block` must be an integer"),
    ],
)
def test_what_the_network_cannot_do_is_refused_by_name(change, message):
    with pytest.raises(InputError) as error:
        diffusers_config.read_config(CIFAR10 | change, "config.json")
    assert message in str(error.value)


def test_what_diffusers_assumes_is_assumed():
    values = {k: v for k, v in CIFAR10.items() if k != "freq_shift"}
    with pytest.raises(InputError, match=r"`freq_shift` must be 1. Received:.*=0."):
        diffusers_config.read_config(values, "config.json")


def test_a_scheduler_says_the_forward_process():
    values = SCHEDULER | {"beta_end": 0.012, "num_train_timesteps": 500}
    assert diffusers_config.read_scheduler(values, "s.json") == DiffusionConfig(
        timesteps=500, beta_start=1e-4, beta_end=0.012
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_type": "v_prediction"}, "prediction_type='v_prediction'"),
        ({"prediction_type": "sample"}, "prediction_type='sample'"),
        ({"beta_schedule": "squaredcos_cap_v2"}, "`beta_schedule` must be 'linear'"),
        ({"variance_type": "learned_range"}, "variance_type='learned_range'"),
        ({"trained_betas": [0.1, 0.2]}, "`trained_betas` must be None"),
        ({"rescale_betas_zero_snr": True}, "rescale_betas_zero_snr=True"),
        ({"sigma_schedule": "odd"}, "an unsupported option: sigma_schedule='odd'"),
    ],
)
def test_other_processes_are_refused_by_name(change, message):
    with pytest.raises(InputError) as error:
        diffusers_config.read_scheduler(SCHEDULER | change, "s.json")
    assert message in str(error.value)


def test_a_config_that_is_no_object():
    with pytest.raises(InputError, match="must hold a JSON object"):
        diffusers_config.read_config([CIFAR10], "config.json")
    with pytest.raises(InputError, match="must hold a JSON object"):
        diffusers_config.read_scheduler(None, "s.json")
