import dataclasses

import pytest

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import (
    diffusers_config,
    diffusers_scheduler,
    diffusers_written,
)
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
    values = diffusers_written.write_config(preset.unet)
    # diffusers does not know that the last class is the null class.
    expected = dataclasses.replace(
        preset.unet, classes=preset.unet.label_rows, label_dropout=0.0
    )
    assert diffusers_config.read_config(values, "config.json") == expected
    values = diffusers_scheduler.write_scheduler(preset.diffusion)
    read = diffusers_scheduler.read_scheduler(values, "config.json")
    assert read == preset.diffusion


_VARIANT = UNetConfig(
    image_size=16,
    base_width=32,
    width_multipliers=(1, 2, 2),
    attention_resolutions=(8,),
    groups=8,
    norm_epsilon=1e-5,
)


@pytest.mark.parametrize(
    "options",
    [
        {"head_width": 8},
        {"heads": 4},
        {"level_widths": (32, 48, 96), "width_multipliers": (1,)},
        {"up_attention_resolutions": (16, 4)},
        {"middle_attention": "none"},
        {"middle_attention": "no_norm", "scale_shift": True},
        {"middle_attention": "norm", "scale_shift": True},
        {"cosine_first": True, "frequency_shift": 0.0},
        {"symmetric_padding": True},
        {"residual_down_resolutions": (8,)},
        {"residual_down_resolutions": (16,), "residual_up_resolutions": (8, 4)},
        {"classes": 10},
        {"learned_variance": True},
    ],
)
def test_each_option_is_written_and_read_again(options):
    config = dataclasses.replace(_VARIANT, **options)
    values = diffusers_written.write_config(config)
    read = diffusers_config.read_config(values, "config.json")
    if "heads" in options:
        # All attention has 64 channels.
        config = dataclasses.replace(config, heads=1, head_width=16)
    assert read == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"middle_attention": "no_norm"}, "middle_attention='no_norm'"),
        ({"heads": 2, "attention_resolutions": (16,)}, "heads=2"),
        (
            {"attention_resolutions": (16, 8), "residual_down_resolutions": (16,)},
            "residual_down_resolutions=(16,)",
        ),
    ],
)
def test_what_diffusers_cannot_do_is_refused(options, message):
    with pytest.raises(InputError) as error:
        diffusers_written.write_config(dataclasses.replace(_VARIANT, **options))
    assert f"diffusers has no network with {message}" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_class_name": "UNet2DConditionModel"}, "Received: UNet2DConditionModel."),
        ({"act_fn": "gelu"}, "`act_fn` must be 'silu'. Received: act_fn='gelu'."),
        ({"out_channels": 1}, "`out_channels` must be consistent"),
        ({"downsample_padding": 2}, "`downsample_padding` must be at most 1"),
        ({"resnet_time_scale_shift": "ada_group"}, "must be one of: default, scale_"),
        ({"class_embed_type": "timestep"}, "`class_embed_type` must be None"),
        ({"attention_head_dim": 48}, "`head_width` must divide the channels"),
        ({"attn_norm_num_groups": 8}, "`attn_norm_num_groups` must be consistent"),
        ({"num_class_embeds": "10"}, "`num_class_embeds` must be an integer or null"),
        ({"attention_head_dim": 0}, "`attention_head_dim` must be at least 1"),
        ({"norm_eps": "1e-5"}, "`norm_eps` must be a number"),
        ({"norm_eps": None}, "`norm_eps` must be a number"),
        ({"dropout": None}, "`dropout` must be a number"),
        ({"add_attention": "no"}, "`add_attention` must be true or false"),
        ({"flip_sin_to_cos": 1}, "`flip_sin_to_cos` must be true or false"),
        ({"freq_shift": "0"}, "`freq_shift` must be a number"),
        ({"downsample_type": []}, "`downsample_type` must be a string"),
        ({"time_embedding_type": "fourier"}, "must be 'positional'"),
        ({"time_embedding_dim": 100}, "`time_embedding_dim` must be consistent"),
        ({"block_out_channels": [128, 200, 256, 256]}, "`groups` must divide"),
        ({"up_block_types": ["UpBlock2D"] * 3}, "a type for each of the 4 levels"),
        ({"down_block_types": ["SkipDownBlock2D"] * 4}, "Received: SkipDownBlock2D."),
        ({"use_magic": True}, "an unsupported option: use_magic=True."),
        ({"sample_size": None}, "does not state `sample_size`"),
        ({"sample_size": 10**9}, "`sample_size` must be at most 16384"),
        ({"sample_size": [32, 64]}, "`sample_size` must be an integer"),
        (
            {
                "block_out_channels": [32] * 20_000,
                "down_block_types": ["DownBlock2D"] * 20_000,
                "up_block_types": ["UpBlock2D"] * 20_000,
            },
            "must name at most 16 levels. Received: width_multipliers=20000",
        ),
        ({"block_out_channels": []}, "`block_out_channels` must not be empty"),
        ({"block_out_channels": [0, 0]}, "`block_out_channels` must be at least 1"),
        ({"down_block_types": None}, "`down_block_types` must be a sequence of str"),
        ({"layers_per_block": "2"}, "`layers_per_block` must be an integer"),
    ],
)
def test_what_the_network_cannot_do_is_refused_by_name(change, message):
    with pytest.raises(InputError) as error:
        diffusers_config.read_config(CIFAR10 | change, "config.json")
    assert message in str(error.value)


@pytest.mark.parametrize("size", [[32, 32], None])
def test_an_image_size_as_a_pair_or_from_the_user(size):
    values = CIFAR10 | {"sample_size": size}
    config = diffusers_config.read_config(values, "config.json", None if size else 32)
    assert config == diffusers_config.read_config(CIFAR10, "config.json")


def test_what_training_writes_about_an_average_is_ignored():
    average = {"decay": 0.9999, "optimization_step": 500, "use_ema_warmup": True}
    config = diffusers_config.read_config(CIFAR10 | average, "config.json")
    assert config == diffusers_config.read_config(CIFAR10, "config.json")


@pytest.mark.parametrize(
    "options",
    [
        {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 2},
        {"lambda_min_clipped": float("-inf"), "final_sigmas_type": "zero"},
        {"_class_name": "UniPCMultistepScheduler", "disable_corrector": []},
        {"_class_name": "EulerDiscreteScheduler", "timestep_type": "discrete"},
    ],
)
def test_options_of_faster_samplers_say_nothing_of_the_process(options):
    process = diffusers_scheduler.read_scheduler(SCHEDULER | options, "s.json")
    assert process == DiffusionConfig()


def test_what_diffusers_assumes_is_assumed():
    values = {k: v for k, v in CIFAR10.items() if k != "freq_shift"}
    config = diffusers_config.read_config(values, "config.json")
    assert config.frequency_shift == 0.0


def test_a_scheduler_says_the_forward_process():
    values = SCHEDULER | {"beta_end": 0.012, "num_train_timesteps": 500}
    assert diffusers_scheduler.read_scheduler(values, "s.json") == DiffusionConfig(
        timesteps=500, beta_start=1e-4, beta_end=0.012
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"prediction_type": "v_prediction"}, {"prediction": "v"}),
        ({"prediction_type": "sample"}, {"prediction": "x_0"}),
        ({"predict_epsilon": False}, {"prediction": "x_0"}),
        ({"predict_epsilon": True}, {}),
        ({"beta_schedule": "squaredcos_cap_v2"}, {"schedule": "cosine"}),
        ({"beta_schedule": "scaled_linear"}, {"schedule": "scaled_linear"}),
        (
            {"trained_betas": [0.1, 0.2], "num_train_timesteps": 2},
            {"betas": (0.1, 0.2), "timesteps": 2},
        ),
        (
            {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"},
            {"zero_terminal_snr": True, "prediction": "v"},
        ),
    ],
)
def test_each_process_is_read_and_written(change, expected):
    process = diffusers_scheduler.read_scheduler(SCHEDULER | change, "s.json")
    assert process == DiffusionConfig(**expected)
    values = diffusers_scheduler.write_scheduler(process)
    assert diffusers_scheduler.read_scheduler(values, "s.json") == process


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_type": "flow"}, "prediction_type='flow'"),
        ({"beta_schedule": "sigmoid"}, "`beta_schedule` must be one of: linear"),
        ({"beta_schedule": ["linear"]}, "`beta_schedule` must be a string"),
        ({"num_train_timesteps": "10"}, "`num_train_timesteps` must be an integer"),
        ({"num_train_timesteps": None}, "`num_train_timesteps` must be an integer"),
        ({"beta_end": "0.02"}, "`beta_end` must be a number"),
        ({"trained_betas": "abc"}, "`trained_betas` must be a sequence of numbers"),
        ({"trained_betas": [None]}, "`trained_betas` must be a sequence of number"),
        ({"trained_betas": [0.1, 0.2]}, "`betas` must have a value for each time step"),
        ({"rescale_betas_zero_snr": True}, "`zero_terminal_snr` needs prediction v"),
        ({"num_train_timesteps": 10**9}, "must be at most 1000000"),
        ({"rescale_betas_zero_snr": 1}, "must be true or false"),
        ({"timestep_type": "continuous"}, "timestep_type='continuous'"),
        ({"use_flow_sigmas": True}, "use_flow_sigmas=True"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "discrete noise levels"),
        ({"_class_name": ["DDPMScheduler"]}, "discrete noise levels"),
        ({"beta_start": float("nan")}, "`beta_start` must be finite"),
        ({"sigma_schedule": "odd"}, "an unsupported option: sigma_schedule='odd'"),
    ],
)
def test_other_processes_are_refused_by_name(change, message):
    with pytest.raises(InputError) as error:
        diffusers_scheduler.read_scheduler(SCHEDULER | change, "s.json")
    assert message in str(error.value)


def test_a_config_that_is_no_object():
    with pytest.raises(InputError, match="must hold a JSON object"):
        diffusers_config.read_config([CIFAR10], "config.json")
    with pytest.raises(InputError, match="must hold a JSON object"):
        diffusers_scheduler.read_scheduler(None, "s.json")
