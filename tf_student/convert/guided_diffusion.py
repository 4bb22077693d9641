"""The layout of improved-diffusion and guided-diffusion (github.com/openai).

Their files are state dicts of a `UNetModel`, such as `input_blocks.1.0.in_layers.0`.
The names and shapes imply most of the architecture; `Options` has the rest.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig, widths_of
from tf_student.convert import diffusers
from tf_student.convert.guided_options import Options
from tf_student.convert.rows import Row, Shape
from tf_student.runtime.errors import InputError

_TOP = {
    "stem": "input_blocks.0.0",
    "dense_0": "time_embed.0",
    "dense_1": "time_embed.2",
    "class_table": "label_emb",
    "norm": "out.0",
    "head": "out.2",
}
_NAMES = {
    "norm_0": "in_layers.0",
    "conv_0": "in_layers.2",
    "time": "emb_layers.1",
    "norm_1": "out_layers.0",
    "conv_1": "out_layers.3",
    "shortcut": "skip_connection",
    "norm": "norm",
    "qkv": "qkv",
    "out": "proj_out",
}


def is_layout(shapes: Mapping[str, Shape]) -> bool:
    """Whether the names are those of a `UNetModel`."""
    return "input_blocks.0.0.weight" in shapes


def infer(shapes: Mapping[str, Shape], options: Options, origin: str) -> UNetConfig:
    """The architecture that names, shapes and options imply.

    Args:
        shapes: shape of each tensor by name.
        options: what the tensors do not show.
        origin: the file, for messages.

    Raises:
        InputError: if an option is missing, or if the tensors are not those of a
            supported network.
    """
    try:
        seen = _seen(shapes)
    except (KeyError, IndexError, ValueError):
        raise InputError(
            f"{origin} must have the layout of guided-diffusion (input_blocks, "
            "middle_block, output_blocks, ...)."
        ) from None
    if seen.channels not in (1, 3) or seen.outputs % seen.channels:
        raise InputError(
            f"{origin} must be a network of images without conditions. Received: "
            f"{seen.channels} channels in, {seen.outputs} out (super-resolution?)."
        )
    levels, size = seen.levels, _image_size(options, origin)
    if not seen.base == seen.stem == levels[0].width:
        raise InputError(
            f"{origin}: the first level must have model_channels channels. Received: "
            f"{levels[0].width} channels, model_channels={seen.base}."
        )
    return UNetConfig(**_architecture(seen, size), **_heads(options))


def _heads(options: Options) -> dict[str, Any]:
    if options.num_head_channels:
        return {"head_width": options.num_head_channels, "dropout": options.dropout}
    return {"heads": options.num_heads, "dropout": options.dropout}


def _architecture(seen: "_Seen", size: int) -> dict[str, Any]:
    levels = seen.levels
    sizes = [size >> level for level in range(len(levels))]
    attends = [level.attends for level in levels]
    return dict(
        image_size=size,
        channels=seen.channels,
        base_width=seen.base,
        **widths_of([level.width for level in levels]),
        blocks_per_level=levels[0].blocks - 1,
        attention_resolutions=tuple(itertools.compress(sizes, attends)),
        norm_epsilon=1e-5,
        cosine_first=True,
        frequency_shift=0.0,
        symmetric_padding=True,
        scale_shift=seen.scale_shift,
        residual_down_resolutions=tuple(sizes[:-1]) if seen.residual else (),
        residual_up_resolutions=tuple(sizes[1:]) if seen.residual else (),
        classes=seen.classes,
        learned_variance=seen.outputs == 2 * seen.channels,
    )


class _Seen(NamedTuple):
    """What the names and shapes show; the levels are from full resolution down."""

    levels: list["_Level"]
    stem: int
    channels: int
    base: int
    outputs: int
    scale_shift: bool
    residual: bool
    classes: int


def _seen(shapes: Mapping[str, Shape]) -> _Seen:
    levels = list(_levels(shapes))[::-1]
    stem, channels = shapes["input_blocks.0.0.weight"][:2]
    features = shapes["middle_block.0.emb_layers.1.weight"][0]
    return _Seen(
        levels,
        stem,
        channels,
        base=shapes["time_embed.0.weight"][1],
        outputs=shapes["out.2.weight"][0],
        scale_shift=features == 2 * levels[-1].width,
        # Convolutions that halve an image are called `op`.
        residual=not any(name.endswith(".op.weight") for name in shapes),
        classes=shapes.get("label_emb.weight", (0,))[0],
    )


def _image_size(options: Options, origin: str) -> int:
    """The image size; raises an `InputError` that names what is unknown."""
    missing = []
    if options.image_size is None:
        missing.append("image_size")
    if options.num_heads is None and options.num_head_channels is None:
        missing.append("num_heads or num_head_channels")
    if missing or options.image_size is None:
        raise InputError(
            f"{origin} does not state {', '.join(missing)}. Set `image_size` and "
            "`heads` or `head_width`, or write the arguments of the network into "
            "options.json beside it."
        )
    return options.image_size


class _Level(NamedTuple):
    """A level of the way up."""

    width: int
    blocks: int
    attends: bool


def _levels(shapes: Mapping[str, Shape]) -> Iterator[_Level]:
    """The levels on the way up, from the lowest; all but the last end by doubling."""
    width, blocks, attends = 0, 0, False
    for number in itertools.count():
        start = f"output_blocks.{number}"
        if f"{start}.0.in_layers.0.weight" not in shapes:
            break
        width = shapes[f"{start}.0.out_layers.3.weight"][0]
        blocks += 1
        attends |= f"{start}.1.qkv.weight" in shapes
        if any(
            f"{start}.{place}.{leaf}.weight" in shapes
            for place in (1, 2)
            for leaf in ("conv", "in_layers.0")
        ):
            yield _Level(width, blocks, attends)
            blocks, attends = 0, False
    if not blocks:
        raise ValueError("output_blocks")
    yield _Level(width, blocks, attends)


def rows(config: UNetConfig, *, new_attention_order: bool) -> list[Row]:
    """The table: our variables and their names."""
    starts = _starts(config)
    table = []
    for layer in plan.layers(config):
        block = layer.block
        if block is None:
            prefix = _TOP[layer.name]
        else:
            changed = {"downsample": "op", "upsample": "conv"}
            prefix = f"{starts[block]}.{changed.get(block.kind) or _NAMES[layer.name]}"
        heads = 0
        if layer.name == "qkv" and block and not new_attention_order:
            heads = block.heads
        for path, leaf in zip(layer.variables(), diffusers.leaves(layer), strict=True):
            table.append(Row(path, (f"{prefix}.{leaf}",), layer.kind != "table", heads))
    return table


def _starts(config: UNetConfig) -> dict[plan.Block, str]:
    """Their name of each block. A doubling belongs to the stage before it."""
    starts, up = {}, -1
    places: dict[int, int] = {}
    for block in plan.blocks(config):
        if block.side == "middle":
            starts[block] = f"middle_block.{block.place}"
        elif block.side == "down":
            starts[block] = f"input_blocks.{(block.stage or 0) + 1}.{block.place}"
        else:
            up += block.kind == "residual"
            places[up] = places.get(up, -1) + 1
            starts[block] = f"output_blocks.{up}.{places[up]}"
    return starts
