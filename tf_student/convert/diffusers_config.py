"""The config of diffusers' UNet2DModel, read."""

import dataclasses
from typing import Any, NamedTuple

from tf_student.architecture.unet_config import UNetConfig, widths_of
from tf_student.convert import families
from tf_student.convert.json_options import read_options
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import option

# Options for which this network supports a fixed choice: diffusers' default where the
# option is missing, and the supported values.
FIXED = {
    "act_fn": ("silu", ("silu", "swish")),
    "center_input_sample": (False, (False,)),
    "class_embed_type": (None, (None,)),
    "mid_block_scale_factor": (1, (1,)),
    "mid_block_type": ("UNetMidBlock2D", ("UNetMidBlock2D",)),
    "num_train_timesteps": (None, (None,)),
    "time_embedding_type": ("positional", ("positional",)),
}
# What diffusers' EMAModel writes among the options of its network.
_OF_AVERAGES = {
    *("decay", "inv_gamma", "max_value", "min_decay", "optimization_step", "power"),
    *("update_after_step", "use_ema_warmup"),
}
# Of anything; the network has limits of its own.
_MOST = 2**20


@dataclasses.dataclass(frozen=True)
class _Options:
    """The options of UNet2DModel that are read, with diffusers' defaults."""

    block_out_channels: tuple[int, ...] = option(
        (), "Channels of levels.", minimum=1, maximum=_MOST
    )
    down_block_types: tuple[str, ...] = option((), "Names of the encoder's blocks.")
    up_block_types: tuple[str, ...] = option((), "Names of the decoder's blocks.")
    sample_size: int = option(32, "Size of images.", minimum=1, maximum=2**14)
    in_channels: int = option(3, "Channels of images.", minimum=1, maximum=_MOST)
    out_channels: int = option(3, "Channels of the output.", minimum=1, maximum=_MOST)
    layers_per_block: int = option(2, "Blocks of a level.", minimum=1, maximum=64)
    add_attention: bool = option(True, "Attention in the middle.")
    attention_head_dim: int | None = option(8, "Channels of a head.", minimum=1)
    attn_norm_num_groups: int | None = option(None, "Groups of the middle's norms.")
    norm_num_groups: int = option(
        32, "Groups of other norms.", minimum=1, maximum=_MOST
    )
    norm_eps: float = option(1e-5, "Added to variances.")
    dropout: float = option(0.0, "Share of values.")
    flip_sin_to_cos: bool = option(True, "Cosines first.")
    freq_shift: float = option(0, "Shift of the frequencies of times.")
    time_embedding_dim: int | None = option(None, "Width of the embedding of times.")
    num_class_embeds: int | None = option(None, "Classes.", minimum=1)
    resnet_time_scale_shift: str = option(
        "default", "How blocks use times.", choices=("default", "scale_shift")
    )
    downsample_padding: int = option(1, "Padding of strides.", minimum=0, maximum=1)
    downsample_type: str = option("conv", "Of blocks.", choices=("conv", "resnet"))
    upsample_type: str = option("conv", "Of blocks.", choices=("conv", "resnet"))


class _Levels(NamedTuple):
    """The image sizes whose blocks have attention, or are resampled by a block."""

    attention: tuple[int, ...]
    residual: tuple[int, ...]


def read_config(
    values: dict[str, Any], origin: str, image_size: int | None = None
) -> UNetConfig:
    """The architecture that a `config.json` describes.

    Args:
        values: the parsed file.
        origin: the file, for messages.
        image_size: in place of the file's `sample_size`, which may be null.

    Raises:
        InputError: if the class or an option is not supported.
    """
    options = _checked(values, origin, image_size)
    down, up = (_levels(options, side, origin) for side in ("down", "up"))
    widths, head = options.block_out_channels, options.attention_head_dim
    return UNetConfig(
        image_size=options.sample_size,
        channels=options.in_channels,
        base_width=widths[0],
        **widths_of(widths),
        blocks_per_level=options.layers_per_block,
        attention_resolutions=down.attention,
        groups=options.norm_num_groups,
        norm_epsilon=options.norm_eps,
        dropout=options.dropout,
        up_attention_resolutions=None if _same(up, down) else up.attention,
        middle_attention=_middle_attention(options),
        # One head for all channels is the default, and not a width.
        head_width=0 if head is None or _is_one_head(options, down, up) else head,
        cosine_first=options.flip_sin_to_cos,
        frequency_shift=float(options.freq_shift),
        symmetric_padding=options.downsample_padding == 1,
        scale_shift=options.resnet_time_scale_shift == "scale_shift",
        residual_down_resolutions=down.residual,
        residual_up_resolutions=up.residual,
        classes=options.num_class_embeds or 0,
        learned_variance=options.out_channels == 2 * options.in_channels,
    )


def _checked(values: Any, origin: str, image_size: int | None) -> _Options:
    """All options, with diffusers' defaults where they are missing."""
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    if values.get("_class_name") != "UNet2DModel":
        kind = values.get("_class_name")
        raise InputError(
            f"{origin} must describe a UNet2DModel. {families.COVERED}. "
            f"Received: {kind}."
        )
    _refuse_unsupported(values, origin)
    size = _sample_size(values, origin, image_size)
    options = read_options(_Options, {**values, "sample_size": size}, origin)
    _check_consistent(options, origin)
    return options


def _sample_size(values: dict[str, Any], origin: str, image_size: int | None) -> Any:
    """The image size, which may be stated as a pair or not at all."""
    if image_size is not None:
        return image_size
    size = values.get("sample_size")
    if isinstance(size, list) and len(size) == 2 and size[0] == size[1]:
        size = size[0]
    if size is None:
        raise InputError(
            f"{origin} does not state `sample_size`, the size of an image. Set "
            "`image_size`. Received: sample_size=None."
        )
    return size


def _same(up: _Levels, down: _Levels) -> bool:
    return set(up.attention) == set(down.attention)


def _middle_attention(options: _Options) -> str:
    if not options.add_attention:
        return "none"
    # diffusers gives the middle no groups of its own with scale_shift.
    plain = options.attn_norm_num_groups is None
    plain = plain and options.resnet_time_scale_shift == "scale_shift"
    return "no_norm" if plain else "norm"


def _is_one_head(options: _Options, down: _Levels, up: _Levels) -> bool:
    """Whether every attention has as many channels as a head."""
    size, widths = options.sample_size, options.block_out_channels
    attended = [
        width
        for level, width in enumerate(widths)
        if size >> level in {*down.attention, *up.attention}
    ]
    if options.add_attention:
        attended.append(widths[-1])
    return set(attended) <= {options.attention_head_dim}


def _levels(options: _Options, side: str, origin: str) -> _Levels:
    """What the types of the blocks of a side say.

    Only the blocks with attention obey `downsample_type` and `upsample_type`.
    """
    is_up, name = side == "up", f"{side.title()}Block2D"
    kinds = options.up_block_types if is_up else options.down_block_types
    whole = f"{side}sample"
    known = (name, f"Attn{name}", f"Resnet{whole.title()}Block2D")
    if unknown := [kind for kind in kinds if kind not in known]:
        raise InputError(
            f"{origin}: blocks must be {', '.join(known)}. Received: {unknown[0]}."
        )
    sizes = [options.sample_size >> level for level in range(len(kinds))]
    if is_up:
        sizes.reverse()
    kind = options.upsample_type if is_up else options.downsample_type
    blocks = kind == "resnet"
    levels = list(zip(sizes, kinds, strict=True))
    attends = {size for size, kind in levels if kind == known[1]}
    # The last level of a side is not resampled.
    residual = {
        size
        for size, kind in levels[:-1]
        if kind == known[2] or (kind == known[1] and blocks)
    }
    # From full resolution down.
    return _Levels(*(tuple(sorted(s, reverse=True)) for s in (attends, residual)))


def _check_consistent(options: _Options, origin: str) -> None:
    """Raises an `InputError` unless the options are those of one network."""
    widths, channels = options.block_out_channels, options.in_channels
    if not widths:
        raise InputError(f"{origin}: `block_out_channels` must not be empty.")
    groups = options.norm_num_groups
    for name, expected in (
        ("out_channels", (channels, 2 * channels)),
        ("time_embedding_dim", (None, 4 * widths[0])),
        ("attn_norm_num_groups", (None, groups)),
    ):
        value = getattr(options, name)
        if value not in expected:
            raise InputError(
                f"{origin}: `{name}` must be consistent with the other options. "
                f"Received: {name}={value!r}, in_channels={channels}, "
                f"norm_num_groups={groups}."
            )
    for name in ("down_block_types", "up_block_types"):
        count = len(getattr(options, name))
        if count != len(widths):
            raise InputError(
                f"{origin}: `{name}` must have a type for each of the {len(widths)} "
                f"levels. Received: {count}."
            )


def _refuse_unsupported(values: dict[str, Any], origin: str) -> None:
    for name, (default, supported) in FIXED.items():
        value = values.get(name, default)
        if value not in supported:
            raise InputError(
                f"{origin}: `{name}` must be {supported[0]!r}. "
                f"Received: {name}={value!r}."
            )
    read = {field.name for field in dataclasses.fields(_Options)}
    for name, value in values.items():
        known = name in FIXED or name in read or name in _OF_AVERAGES
        if not known and not name.startswith("_") and value is not None:
            raise InputError(f"{origin} has an unsupported option: {name}={value!r}.")
