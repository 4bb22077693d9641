"""The plan of a UNet: its blocks and layers and the shapes of its variables.

It needs the config alone; the network is built by it, and tables of published weights
are written by it without a network.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from tf_student.architecture.unet_config import UNetConfig


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the UNet.

    Attributes:
        kind: `residual`, `attention`, `downsample` or `upsample`.
        side: `down`, `middle` or `up`.
        stage: position on its side; a residual block and the attention after it, or a
            change of resolution, are one stage. None in the middle, which is one stage.
        place: position within the stage.
        level: 0 at full resolution.
        index: among the blocks of its kind, side and level, in calling order.
        size: height and width of the input.
        inputs: input channels.
        outputs: output channels.
    """

    kind: str
    side: str
    stage: int | None
    place: int
    level: int
    index: int
    size: int
    inputs: int
    outputs: int

    @property
    def path(self) -> str:
        """From the UNet to the block, such as `down.0.1` or `middle.2`."""
        parts = (self.side, self.stage, self.place)
        return ".".join(str(part) for part in parts if part is not None)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with variables.

    Attributes:
        name: attribute of its owner, such as `norm_0`.
        kind: `conv` (3x3), `point` (1x1), `dense` or `norm`.
        inputs: input channels.
        outputs: output channels.
        owner: the block, `embedding`, or None for the UNet itself.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    owner: Block | str | None = None

    @property
    def block(self) -> Block | None:
        """The block that it belongs to; None outside the blocks."""
        return self.owner if isinstance(self.owner, Block) else None

    @property
    def path(self) -> str:
        """From the UNet to the layer, such as `down.0.1.norm` or `stem`."""
        owner = self.block.path if self.block else self.owner
        return f"{owner}.{self.name}" if owner else self.name

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the variables by name; the kernel, or gamma, comes first."""
        if self.kind == "norm":
            return {"gamma": (self.outputs,), "beta": (self.outputs,)}
        window = {"conv": (3, 3), "point": (1, 1), "dense": ()}[self.kind]
        kernel = (*window, self.inputs, self.outputs)
        return {"kernel": kernel, "bias": (self.outputs,)}

    def variables(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the variables by path."""
        return {f"{self.path}.{name}": v for name, v in self.shapes().items()}


def variables(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of all variables of `UNet(config)` by path."""
    return {k: v for layer in layers(config) for k, v in layer.variables().items()}


def layers(config: UNetConfig) -> list[Layer]:
    """All layers with variables of `UNet(config)`."""
    width, top = config.base_width, config.widths[0]
    planned = [
        Layer("stem", "conv", config.channels, width),
        Layer("dense_0", "dense", width, 4 * width, "embedding"),
        Layer("dense_1", "dense", 4 * width, 4 * width, "embedding"),
    ]
    for block in blocks(config):
        planned += _layers_of(block, 4 * width)
    return [
        *planned,
        Layer("norm", "norm", top, top),
        Layer("head", "conv", top, config.channels),
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
    return [Layer(name, *size, block) for name, size in sizes.items()]


def blocks(config: UNetConfig) -> Iterator[Block]:
    """All blocks of `UNet(config)` in calling order.

    On the way up every residual block takes in a skip connection from the way down: of
    the stem, of each stage and of each downsampling.
    """
    size, channels, levels = config.image_size, config.base_width, len(config.widths)
    skips, stage = [channels], itertools.count()
    for level, filters in enumerate(config.widths):
        for index in range(config.blocks_per_level):
            where = ("down", next(stage), level, index)
            yield from _stage(config, where, size, channels, filters)
            channels = filters
            skips.append(channels)
        if level + 1 < levels:
            where = ("down", next(stage), 0, level, 0)
            yield Block("downsample", *where, size, channels, channels)
            size //= 2
            skips.append(channels)
    middle = [("residual", 0), ("attention", 0), ("residual", 1)]
    for place, (kind, index) in enumerate(middle):
        where = ("middle", None, place, levels - 1, index)
        yield Block(kind, *where, size, channels, channels)
    stage = itertools.count()
    for level, filters in reversed(list(enumerate(config.widths))):
        for index in range(config.blocks_per_level + 1):
            where = ("up", next(stage), level, index)
            yield from _stage(config, where, size, channels + skips.pop(), filters)
            channels = filters
        if level:
            where = ("up", next(stage), 0, level, 0)
            yield Block("upsample", *where, size, channels, channels)
            size *= 2
    assert not skips


def _stage(config, where, size, inputs, filters) -> Iterator[Block]:
    """A residual block and, at the resolutions that have it, attention."""
    side, stage, level, index = where
    yield Block("residual", side, stage, 0, level, index, size, inputs, filters)
    if size in config.attention_resolutions:
        yield Block("attention", side, stage, 1, level, index, size, filters, filters)
