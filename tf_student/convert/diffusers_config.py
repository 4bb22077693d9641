"""The configs of diffusers' UNet2DModel and schedulers."""

from typing import Any

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

# Options for which this network supports a fixed choice: diffusers' default where the
# option is missing, and the supported values.
_FIXED = {
    "act_fn": ("silu", ("silu", "swish")),
    "add_attention": (True, (True,)),
    "center_input_sample": (False, (False,)),
    "class_embed_type": (None, (None,)),
    "downsample_padding": (1, (0,)),
    "downsample_type": ("conv", ("conv",)),
    "flip_sin_to_cos": (True, (False,)),
    "freq_shift": (0, (1,)),
    "mid_block_scale_factor": (1, (1,)),
    "mid_block_type": ("UNetMidBlock2D", ("UNetMidBlock2D",)),
    "num_class_embeds": (None, (None,)),
    "num_train_timesteps": (None, (None,)),
    "resnet_time_scale_shift": ("default", ("default",)),
    "time_embedding_type": ("positional", ("positional",)),
    "upsample_type": ("conv", ("conv",)),
}
_READ = {
    "attention_head_dim",
    "attn_norm_num_groups",
    "block_out_channels",
    "down_block_types",
    "dropout",
    "in_channels",
    "layers_per_block",
    "norm_eps",
    "norm_num_groups",
    "out_channels",
    "sample_size",
    "time_embedding_dim",
    "up_block_types",
}
_SCHEDULE = {
    "beta_schedule": ("linear", ("linear",)),
    "prediction_type": ("epsilon", ("epsilon",)),
    "rescale_betas_zero_snr": (False, (False,)),
    "trained_betas": (None, (None,)),
    "variance_type": (
        "fixed",
        (
            "fixed_small",
            "fixed_small_log",
            "fixed_large",
            "fixed_large_log",
            "fixed",
            None,
        ),
    ),
}
# Options of diffusers' samplers, which `SamplerConfig` replaces.
_SAMPLING = {
    "clip_sample",
    "clip_sample_range",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "set_alpha_to_one",
    "skip_prk_steps",
    "steps_offset",
    "tensor_format",
    "thresholding",
    "timestep_spacing",
    "timestep_values",
}


def read_config(values: dict[str, Any], origin: str) -> UNetConfig:
    """The architecture that a `config.json` describes.

    Args:
        values: the parsed file.
        origin: the file, for messages.

    Raises:
        InputError: if the class or an option is not supported.
    """
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    if values.get("_class_name") != "UNet2DModel":
        kind = values.get("_class_name")
        raise InputError(f"{origin} must describe a UNet2DModel. Received: {kind}.")
    _refuse_unsupported(values, _FIXED, _READ, origin)
    _check_types(values, origin)
    _check_consistent(values, origin)
    widths = values["block_out_channels"]
    config = UNetConfig(
        image_size=values["sample_size"],
        channels=values.get("in_channels", 3),
        base_width=widths[0],
        width_multipliers=tuple(width // widths[0] for width in widths),
        blocks_per_level=values.get("layers_per_block", 2),
        attention_resolutions=_attention(values, origin),
        groups=values.get("norm_num_groups", 32),
        norm_epsilon=values.get("norm_eps", 1e-5),
        dropout=values.get("dropout", 0.0),
    )
    _refuse_several_heads(values, config, origin)
    return config


def _check_consistent(values: dict[str, Any], origin: str) -> None:
    """Raises an `InputError` unless channels and widths are those of one network."""
    widths = values["block_out_channels"]
    base = widths[0]
    channels, outputs = values.get("in_channels", 3), values.get("out_channels", 3)
    if outputs == 2 * channels:
        raise InputError(
            f"{origin}: a learned variance (out_channels={outputs} for "
            f"in_channels={channels}) is not supported."
        )
    for name, value, expected in (
        ("out_channels", outputs, channels),
        ("time_embedding_dim", values.get("time_embedding_dim") or 4 * base, 4 * base),
        ("block_out_channels", [w % base for w in widths], [0] * len(widths)),
    ):
        if value != expected:
            raise InputError(
                f"{origin}: `{name}` must be consistent with the other options. "
                f"Received: {name}={values.get(name)!r}, in_channels={channels}."
            )


def _check_types(values: dict[str, Any], origin: str) -> None:
    """Raises an `InputError` that names a missing value or one of a wrong type."""

    def are(value, kind):
        return isinstance(value, list) and value and all(type(v) is kind for v in value)

    rules = {
        "sample_size": ("an integer", lambda v: type(v) is int),
        "block_out_channels": (
            "positive integers",
            lambda v: are(v, int) and min(v) > 0,
        ),
        "down_block_types": ("names", lambda v: are(v, str)),
        "up_block_types": ("names", lambda v: are(v, str)),
    }
    for name, (expected, holds) in rules.items():
        if not holds(values.get(name)):
            raise InputError(
                f"{origin}: `{name}` must be {expected}. "
                f"Received: {name}={values.get(name)!r}."
            )
    for name in ("in_channels", "out_channels", "layers_per_block", "norm_num_groups"):
        if name in values and type(values[name]) is not int:
            raise InputError(
                f"{origin}: `{name}` must be an integer. "
                f"Received: {name}={values[name]!r}."
            )


def _refuse_unsupported(values, fixed, read, origin) -> None:
    for name, (default, supported) in fixed.items():
        value = values.get(name, default)
        if value not in supported:
            raise InputError(
                f"{origin}: `{name}` must be {supported[0]!r}. "
                f"Received: {name}={value!r}."
            )
    for name, value in values.items():
        known = name in fixed or name in read or name.startswith("_")
        if not known and value is not None:
            raise InputError(f"{origin} has an unsupported option: {name}={value!r}.")


def _attention(values: dict[str, Any], origin: str) -> tuple[int, ...]:
    """The resolutions of the levels whose blocks have attention."""
    down, up = values["down_block_types"], values["up_block_types"]
    for name, kinds in (("DownBlock2D", down), ("UpBlock2D", up)):
        for kind in kinds:
            if kind not in (name, f"Attn{name}"):
                raise InputError(
                    f"{origin}: blocks must be {name} or Attn{name}. Received: {kind}."
                )
    attends = ["Attn" in kind for kind in down]
    if attends != ["Attn" in kind for kind in reversed(up)]:
        raise InputError(
            f"{origin}: attention must be at the same levels on both sides. Received: "
            f"down_block_types={down}, up_block_types={up}."
        )
    size = values["sample_size"]
    return tuple(size // 2**level for level, attend in enumerate(attends) if attend)


def _refuse_several_heads(values, config: UNetConfig, origin: str) -> None:
    groups = values.get("attn_norm_num_groups")
    if groups not in (None, config.groups):
        raise InputError(
            f"{origin}: `attn_norm_num_groups` must be {config.groups}. "
            f"Received: attn_norm_num_groups={groups}."
        )
    # 8 is diffusers' default.
    width = values.get("attention_head_dim", 8)
    for block in plan.blocks(config):
        if block.kind == "attention" and width not in (None, block.inputs):
            raise InputError(
                f"{origin}: attention with several heads is not supported. Received: "
                f"attention_head_dim={width} for {block.inputs} channels."
            )


def read_scheduler(values: dict[str, Any], origin: str) -> DiffusionConfig:
    """The forward process that a `scheduler_config.json` describes.

    Args:
        values: the parsed file.
        origin: the file, for messages.

    Raises:
        InputError: if the prediction, the schedule or the variance is not supported.
    """
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    read = {"num_train_timesteps", "beta_start", "beta_end"}
    _refuse_unsupported(values, _SCHEDULE, read | _SAMPLING, origin)
    return DiffusionConfig(
        timesteps=values.get("num_train_timesteps", 1000),
        beta_start=values.get("beta_start", 1e-4),
        beta_end=values.get("beta_end", 0.02),
    )


def write_config(config: UNetConfig) -> dict[str, Any]:
    """The `config.json` that `read_config` reads."""
    sizes = [config.image_size // 2**level for level in range(len(config.widths))]
    attends = ["Attn" * (size in config.attention_resolutions) for size in sizes]
    return {
        "_class_name": "UNet2DModel",
        **{name: supported[0] for name, (_, supported) in _FIXED.items()},
        "attention_head_dim": None,
        "block_out_channels": list(config.widths),
        "down_block_types": [f"{a}DownBlock2D" for a in attends],
        "dropout": config.dropout,
        "in_channels": config.channels,
        "layers_per_block": config.blocks_per_level,
        "norm_eps": config.norm_epsilon,
        "norm_num_groups": config.groups,
        "out_channels": config.channels,
        "sample_size": config.image_size,
        "up_block_types": [f"{a}UpBlock2D" for a in reversed(attends)],
    }


def write_scheduler(diffusion: DiffusionConfig) -> dict[str, Any]:
    """The config of a DDIM scheduler that samples as this library does."""
    return {
        "_class_name": "DDIMScheduler",
        "beta_end": diffusion.beta_end,
        "beta_schedule": "linear",
        "beta_start": diffusion.beta_start,
        "clip_sample": False,
        "num_train_timesteps": diffusion.timesteps,
        "prediction_type": "epsilon",
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "timestep_spacing": "leading",
    }
