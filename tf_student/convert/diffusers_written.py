"""The config of diffusers' UNet2DModel, written."""

from typing import Any

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert.diffusers_config import FIXED
from tf_student.runtime.errors import InputError


def write_config(config: UNetConfig) -> dict[str, Any]:
    """The `config.json` that `diffusers_config.read_config` reads.

    Raises:
        InputError: if diffusers has no option for the network.
    """
    down, up = (_Side(config, side) for side in ("down", "up"))
    middle = config.middle_attention
    written = {
        "_class_name": "UNet2DModel",
        **{name: supported[0] for name, (_, supported) in FIXED.items()},
        "add_attention": middle != "none",
        "attention_head_dim": _head_width(config),
        "block_out_channels": list(config.widths),
        "down_block_types": down.kinds,
        "downsample_padding": 1 if config.symmetric_padding else 0,
        "downsample_type": down.resampling,
        "dropout": config.dropout,
        "flip_sin_to_cos": config.cosine_first,
        "freq_shift": int(config.frequency_shift),
        "in_channels": config.channels,
        "layers_per_block": config.blocks_per_level,
        "norm_eps": config.norm_epsilon,
        "norm_num_groups": config.groups,
        "num_class_embeds": config.label_rows or None,
        "out_channels": config.output_channels,
        "resnet_time_scale_shift": "scale_shift" if config.scale_shift else "default",
        "sample_size": config.image_size,
        "up_block_types": up.kinds,
        "upsample_type": up.resampling,
    }
    # Where the middle's default is not what the network has.
    if config.scale_shift and middle == "norm":
        written["attn_norm_num_groups"] = config.groups
    if middle == "no_norm" and not config.scale_shift:
        _refuse("middle_attention", middle)
    if config.frequency_shift % 1:
        _refuse("frequency_shift", config.frequency_shift)
    if config.widths[0] != config.base_width:
        _refuse("level_widths", config.level_widths)
    return written


def _refuse(name: str, value: Any) -> None:
    raise InputError(f"diffusers has no network with {name}={value!r}.")


class _Side:
    """The types of the blocks of a side, and how those with attention resample."""

    def __init__(self, config: UNetConfig, side: str):
        levels = range(len(config.widths))
        sizes = [config.image_size >> level for level in levels]
        attends = config.attention_resolutions
        residual = config.residual_down_resolutions
        if side == "up":
            sizes.reverse()
            attends = config.attention_resolutions_up
            residual = config.residual_up_resolutions
        name = f"{side.title()}Block2D"
        self.kinds, resampling = [], set()
        for size in sizes:
            # The last level of a side is not resampled.
            resampled = size != sizes[-1]
            blocks = resampled and size in residual
            if size in attends:
                self.kinds.append(f"Attn{name}")
                if resampled:
                    resampling.add("resnet" if blocks else "conv")
            else:
                resnet = f"Resnet{side.title()}sampleBlock2D"
                self.kinds.append(resnet if blocks else name)
        if len(resampling) > 1:
            _refuse(f"residual_{side}_resolutions", residual)
        self.resampling = resampling.pop() if resampling else "conv"


def _head_width(config: UNetConfig) -> int | None:
    if config.head_width:
        return config.head_width
    if config.heads == 1:
        return None
    widths = {b.inputs for b in plan.blocks(config) if b.kind == "attention"}
    if len(widths) > 1:
        _refuse("heads", config.heads)
    return widths.pop() // config.heads if widths else None
