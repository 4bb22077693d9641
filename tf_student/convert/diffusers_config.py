"""The config of diffusers' UNet2DModel, read."""

from typing import Any, NamedTuple, NoReturn

from tf_student.architecture.unet_config import UNetConfig, widths_of
from tf_student.convert import families
from tf_student.runtime.errors import InputError

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
# diffusers' defaults of the options that are read.
_DEFAULTS = {
    "add_attention": True,
    "attention_head_dim": 8,
    "attn_norm_num_groups": None,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "dropout": 0.0,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 3,
    "layers_per_block": 2,
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "num_class_embeds": None,
    "out_channels": 3,
    "resnet_time_scale_shift": "default",
    "time_embedding_dim": None,
    "upsample_type": "conv",
}
_CHOICES = {
    "downsample_padding": (0, 1),
    "downsample_type": ("conv", "resnet"),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "upsample_type": ("conv", "resnet"),
}
_LARGEST_IMAGE = 2**14
# What diffusers' EMAModel writes among the options of its network.
_OF_AVERAGES = {
    *("decay", "inv_gamma", "max_value", "min_decay", "optimization_step", "power"),
    *("update_after_step", "use_ema_warmup"),
}
_LISTS = ("block_out_channels", "down_block_types", "up_block_types")


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
    values = _checked(values, origin, image_size)
    down, up = (_levels(values, side, origin) for side in ("down", "up"))
    widths, head = values["block_out_channels"], values["attention_head_dim"]
    return UNetConfig(
        image_size=values["sample_size"],
        channels=values["in_channels"],
        base_width=widths[0],
        **widths_of(widths),
        blocks_per_level=values["layers_per_block"],
        attention_resolutions=down.attention,
        groups=values["norm_num_groups"],
        norm_epsilon=values["norm_eps"],
        dropout=values["dropout"],
        up_attention_resolutions=None if _same(up, down) else up.attention,
        middle_attention=_middle_attention(values),
        # One head for all channels is the default, and not a width.
        head_width=0 if head is None or _is_one_head(values, down, up) else head,
        cosine_first=values["flip_sin_to_cos"],
        frequency_shift=float(values["freq_shift"]),
        symmetric_padding=values["downsample_padding"] == 1,
        scale_shift=values["resnet_time_scale_shift"] == "scale_shift",
        residual_down_resolutions=down.residual,
        residual_up_resolutions=up.residual,
        classes=values["num_class_embeds"] or 0,
        learned_variance=values["out_channels"] == 2 * values["in_channels"],
    )


def _checked(values: Any, origin: str, image_size: int | None) -> dict[str, Any]:
    """All options, with diffusers' defaults where they are missing."""
    if not isinstance(values, dict):
        raise InputError(f"{origin} must hold a JSON object.")
    if values.get("_class_name") != "UNet2DModel":
        kind = values.get("_class_name")
        raise InputError(
            f"{origin} must describe a UNet2DModel. {families.COVERED}. "
            f"Received: {kind}."
        )
    values = {**values, "sample_size": _sample_size(values, origin, image_size)}
    _refuse_unsupported(values, origin)
    _check_types(values, origin)
    values = {**_DEFAULTS, **values}
    _check_consistent(values, origin)
    return values


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
    if type(size) is not int or not 0 < size <= _LARGEST_IMAGE:
        raise InputError(
            f"{origin}: `sample_size` must be an integer up to {_LARGEST_IMAGE}, or a "
            f"pair of equal ones. Received: sample_size={size!r}."
        )
    return size


def _same(up: _Levels, down: _Levels) -> bool:
    return set(up.attention) == set(down.attention)


def _middle_attention(values: dict[str, Any]) -> str:
    if not values["add_attention"]:
        return "none"
    # diffusers gives the middle no groups of its own with scale_shift.
    plain = values["attn_norm_num_groups"] is None
    plain = plain and values["resnet_time_scale_shift"] == "scale_shift"
    return "no_norm" if plain else "norm"


def _is_one_head(values: dict[str, Any], down: _Levels, up: _Levels) -> bool:
    """Whether every attention has as many channels as a head."""
    size, widths = values["sample_size"], values["block_out_channels"]
    attended = [
        width
        for level, width in enumerate(widths)
        if size >> level in {*down.attention, *up.attention}
    ]
    if values["add_attention"]:
        attended.append(widths[-1])
    return set(attended) <= {values["attention_head_dim"]}


def _levels(values: dict[str, Any], side: str, origin: str) -> _Levels:
    """What the types of the blocks of a side say.

    Only the blocks with attention obey `downsample_type` and `upsample_type`.
    """
    kinds, name = values[f"{side}_block_types"], f"{side.title()}Block2D"
    whole = f"{side}sample"
    known = (name, f"Attn{name}", f"Resnet{whole.title()}Block2D")
    if unknown := [kind for kind in kinds if kind not in known]:
        raise InputError(
            f"{origin}: blocks must be {', '.join(known)}. Received: {unknown[0]}."
        )
    sizes = [values["sample_size"] >> level for level in range(len(kinds))]
    if side == "up":
        sizes.reverse()
    blocks = values[f"{whole}_type"] == "resnet"
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


def _check_consistent(values: dict[str, Any], origin: str) -> None:
    """Raises an `InputError` unless the options are those of one network."""
    widths = values["block_out_channels"]
    channels = values["in_channels"]
    groups = values["norm_num_groups"]
    for name, expected in (
        ("out_channels", (channels, 2 * channels)),
        ("time_embedding_dim", (None, 4 * widths[0])),
        ("attn_norm_num_groups", (None, groups)),
    ):
        if values[name] not in expected:
            raise InputError(
                f"{origin}: `{name}` must be consistent with the other options. "
                f"Received: {name}={values[name]!r}, in_channels={channels}, "
                f"norm_num_groups={groups}."
            )
    for name in ("down_block_types", "up_block_types"):
        if len(values[name]) != len(widths):
            raise InputError(
                f"{origin}: `{name}` must have a type for each of the {len(widths)} "
                f"levels. Received: {len(values[name])}."
            )


def _check_types(values: dict[str, Any], origin: str) -> None:
    """Raises an `InputError` that names a missing value or one of a wrong type."""

    def are(value, kind):
        return isinstance(value, list) and value and all(type(v) is kind for v in value)

    def refuse(name: str, expected: str) -> NoReturn:
        raise InputError(
            f"{origin}: `{name}` must be {expected}. "
            f"Received: {name}={values.get(name)!r}."
        )

    widths = values.get("block_out_channels", ())
    if not are(widths, int) or min(widths) < 1:
        refuse("block_out_channels", "positive integers")
    for name in ("down_block_types", "up_block_types"):
        if not are(values.get(name), str):
            refuse(name, "names")
    for name, default in _DEFAULTS.items():
        value = values.get(name, default)
        if name in _CHOICES:
            if not isinstance(value, str | int) or value not in _CHOICES[name]:
                refuse(name, f"one of: {', '.join(map(str, _CHOICES[name]))}")
        elif default is None or name == "attention_head_dim":
            if value is not None and (type(value) is not int or value < 1):
                refuse(name, "an integer or null")
        elif isinstance(default, bool):
            if type(value) is not bool:
                refuse(name, "true or false")
        elif isinstance(default, float) or name == "freq_shift":
            if type(value) not in (int, float):
                refuse(name, "a number")
        elif type(value) is not int:
            refuse(name, "an integer")


def _refuse_unsupported(values: dict[str, Any], origin: str) -> None:
    for name, (default, supported) in FIXED.items():
        value = values.get(name, default)
        if value not in supported:
            raise InputError(
                f"{origin}: `{name}` must be {supported[0]!r}. "
                f"Received: {name}={value!r}."
            )
    for name, value in values.items():
        known = name in FIXED or name in _DEFAULTS or name in (*_LISTS, "sample_size")
        known = known or name in _OF_AVERAGES
        if not known and not name.startswith("_") and value is not None:
            raise InputError(f"{origin} has an unsupported option: {name}={value!r}.")
