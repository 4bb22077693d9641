"""The plan of a UNet: its blocks and layers and the shapes of its variables.

It needs the config alone; the network is built by it, and tables of published weights
are written by it without a network.
"""

import dataclasses
from collections.abc import Iterator

from tf_student.config import UNetConfig


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the UNet.

    Attributes:
        path: from the UNet to the block, such as `down.0.1`.
        kind: `residual`, `attention`, `downsample` or `upsample`.
        side: `down`, `middle` or `up`.
        level: 0 at full resolution.
        index: among the blocks of its kind, side and level, in calling order.
        size: height and width of what comes in.
        inputs: channels in.
        outputs: channels out.
    """

    path: str
    kind: str
    side: str
    level: int
    index: int
    size: int
    inputs: int
    outputs: int


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with variables.

    Attributes:
        path: from the UNet to the layer, such as `down.0.1.norm` or `stem`.
        name: the last part of the path, or `dense_0` and `dense_1` of the embedding.
        kind: `conv` (3x3), `point` (1x1), `dense` or `norm`.
        inputs: channels in.
        outputs: channels out.
        block: where it belongs; None outside the blocks.
    """

    path: str
    name: str
    kind: str
    inputs: int
    outputs: int
    block: Block | None = None

    def variables(self) -> dict[str, tuple[int, ...]]:
        """Shapes by path; the kernel, or gamma, comes first."""
        if self.kind == "norm":
            channels = (self.outputs,)
            return {f"{self.path}.gamma": channels, f"{self.path}.beta": channels}
        window = {"conv": (3, 3), "point": (1, 1), "dense": ()}[self.kind]
        return {
            f"{self.path}.kernel": (*window, self.inputs, self.outputs),
            f"{self.path}.bias": (self.outputs,),
        }


def variables(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of all variables of `UNet(config)` by path."""
    return {k: v for layer in layers(config) for k, v in layer.variables().items()}


def layers(config: UNetConfig) -> list[Layer]:
    """All layers with variables of `UNet(config)`."""
    width, top = config.base_width, config.widths[0]
    found = [
        Layer("stem", "stem", "conv", config.channels, width),
        Layer("embedding.dense_0", "dense_0", "dense", width, 4 * width),
        Layer("embedding.dense_1", "dense_1", "dense", 4 * width, 4 * width),
    ]
    for block in blocks(config):
        found += _layers_of(block, 4 * width)
    return [
        *found,
        Layer("norm", "norm", "norm", top, top),
        Layer("head", "head", "conv", top, config.channels),
    ]


def _layers_of(block: Block, features: int) -> list[Layer]:
    inputs, outputs = block.inputs, block.outputs
    if block.kind == "residual":
        sizes = {
            "norm_0": ("norm", inputs, inputs),
            "conv_0": ("conv", inputs, outputs),
            "time": ("dense", features, outputs),
            "norm_1": ("norm", outputs, outputs),
            "conv_1": ("conv", outputs, outputs),
        }
        if inputs != outputs:
            sizes["shortcut"] = ("point", inputs, outputs)
    elif block.kind == "attention":
        sizes = {
            "norm": ("norm", inputs, inputs),
            "qkv": ("dense", inputs, 3 * inputs),
            "out": ("dense", inputs, inputs),
        }
    else:
        sizes = {"conv": ("conv", inputs, outputs)}
    return [
        Layer(f"{block.path}.{name}", name, *size, block)
        for name, size in sizes.items()
    ]


def blocks(config: UNetConfig) -> Iterator[Block]:
    """All blocks of `UNet(config)` in calling order.

    On the way up every residual block takes in a skip from the way down: of the stem,
    of each stage and of each downsampling.
    """
    size, channels = config.image_size, config.base_width
    skips, position = [channels], 0
    for level, filters in enumerate(config.widths):
        for index in range(config.blocks_per_level):
            place = (f"down.{position}", "down", level, index)
            yield from _stage(config, place, size, channels, filters)
            position, channels = position + 1, filters
            skips.append(channels)
        if level + 1 < len(config.widths):
            path = f"down.{position}.0"
            yield Block(path, "downsample", "down", level, 0, size, channels, channels)
            position, size = position + 1, size // 2
            skips.append(channels)
    kinds = [("residual", 0), ("attention", 0), ("residual", 1)]
    for place, (kind, index) in enumerate(kinds):
        path, level = f"middle.{place}", len(config.widths) - 1
        yield Block(path, kind, "middle", level, index, size, channels, channels)
    position = 0
    for level, filters in reversed(list(enumerate(config.widths))):
        for index in range(config.blocks_per_level + 1):
            place = (f"up.{position}", "up", level, index)
            yield from _stage(config, place, size, channels + skips.pop(), filters)
            position, channels = position + 1, filters
        if level:
            path = f"up.{position}.0"
            yield Block(path, "upsample", "up", level, 0, size, channels, channels)
            position, size = position + 1, size * 2
    assert not skips


def _stage(config, place, size, inputs, filters) -> Iterator[Block]:
    """A residual block and, where the resolution asks for it, attention."""
    path, *where = place
    yield Block(f"{path}.0", "residual", *where, size, inputs, filters)
    if size in config.attention_resolutions:
        yield Block(f"{path}.1", "attention", *where, size, filters, filters)
