"""The plan of a UNet: its blocks, its layers, and the shapes of its variables.

The plan needs only the config. The network is built from it, and tables of published
weights refer to it without building a network.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from tf_student.architecture.unet_config import UNetConfig


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the UNet.

    A residual block with the attention that may follow it is one stage, and so is a
    change of resolution. The blocks of the middle are one stage together.

    Attributes:
        kind: `residual`, `attention`, `downsample`, `upsample`, or `residual_down` and
            `residual_up`, residual blocks that halve and double the image.
        side: `down`, `middle` or `up`.
        stage: position of the stage on its side, from 0; None in the middle.
        place: position within the stage, from 0.
        level: 0 at full resolution.
        index: position among the blocks of the same kind, side and level, from 0.
        size: height and width of the input.
        inputs: number of input channels.
        outputs: number of output channels.
        normalized: whether attention has a group normalization.
        heads: number of heads of attention.
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
    normalized: bool = True
    heads: int = 1

    @property
    def is_residual(self) -> bool:
        """Whether it is a residual block, at one resolution or between two."""
        return self.kind.startswith("residual")

    @property
    def resamples(self) -> str:
        """`down`, `up`, or empty if the block keeps the resolution."""
        kind = self.kind.removeprefix("residual_").removesuffix("sample")
        return kind if kind in ("down", "up") else ""

    @property
    def path(self) -> str:
        """The attributes from the UNet to the block, such as `down.0.1`."""
        parts = (self.side, self.stage, self.place)
        return ".".join(str(part) for part in parts if part is not None)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with variables.

    Attributes:
        name: the attribute of its owner that holds it, such as `norm_0`.
        kind: `conv` (3x3), `point` (1x1 convolution), `dense`, `norm`, or `table` of
            a vector for each class.
        inputs: number of input channels.
        outputs: number of output channels.
        owner: the block, `embedding`, or None for the UNet itself.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    owner: Block | str | None = None

    @property
    def block(self) -> Block | None:
        """The block that the layer belongs to; None if it belongs to no block."""
        return self.owner if isinstance(self.owner, Block) else None

    @property
    def path(self) -> str:
        """The attributes from the UNet to the layer, such as `down.0.1.norm`."""
        owner = self.block.path if self.block else self.owner
        return f"{owner}.{self.name}" if owner else self.name

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the variables by name; the kernel or gamma comes first."""
        if self.kind == "norm":
            return {"gamma": (self.outputs,), "beta": (self.outputs,)}
        if self.kind == "table":
            return {"embeddings": (self.inputs, self.outputs)}
        window = {"conv": (3, 3), "point": (1, 1), "dense": ()}[self.kind]
        kernel = (*window, self.inputs, self.outputs)
        return {"kernel": kernel, "bias": (self.outputs,)}

    def variables(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the variables by path."""
        return {f"{self.path}.{name}": v for name, v in self.shapes().items()}


def variables(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of all variables of `UNet(config)` by path.

    Example:

    >>> from tf_student.architecture import plan
    >>> shapes = plan.variables(UNetConfig())
    >>> shapes["stem.kernel"], shapes["down.0.0.norm_0.gamma"]
    ((3, 3, 3, 128), (128,))
    """
    return {k: v for layer in layers(config) for k, v in layer.variables().items()}


def layers(config: UNetConfig) -> list[Layer]:
    """All layers with variables of `UNet(config)`."""
    width, top = config.base_width, config.widths[0]
    planned = [
        Layer("stem", "conv", config.channels, width),
        Layer("dense_0", "dense", width, 4 * width, "embedding"),
        Layer("dense_1", "dense", 4 * width, 4 * width, "embedding"),
    ]
    if config.classes:
        planned.append(Layer("class_table", "table", config.label_rows, 4 * width))
    for block in blocks(config):
        planned += _layers_of(block, 4 * width, config.scale_shift)
    return [
        *planned,
        Layer("norm", "norm", top, top),
        Layer("head", "conv", top, config.output_channels),
    ]


def _layers_of(block: Block, features: int, scale_shift: bool) -> list[Layer]:
    inputs, outputs = block.inputs, block.outputs
    if block.is_residual:
        sizes = {
            "norm_0": ("norm", inputs, inputs),
            "conv_0": ("conv", inputs, outputs),
            "time": ("dense", features, outputs * (2 if scale_shift else 1)),
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
        if not block.normalized:
            del sizes["norm"]
    else:
        sizes = {"conv": ("conv", inputs, outputs)}
    return [Layer(name, *size, block) for name, size in sizes.items()]


def blocks(config: UNetConfig) -> Iterator[Block]:
    """All blocks of `UNet(config)` in calling order.

    Each residual block on the way up receives one skip connection, in reverse order:
    from a stage on the way down, and the last one from the stem.

    Example:

    >>> from tf_student.architecture import plan
    >>> [block.path for block in plan.blocks(UNetConfig(width_multipliers=(1,)))][:4]
    ['down.0.0', 'down.1.0', 'middle.0', 'middle.1']
    """
    down = list(_down(config))
    yield from down
    yield from _middle(config)
    # Attention keeps the channels of the residual block before it.
    stages = [block.outputs for block in down if block.kind != "attention"]
    yield from _up(config, skips=[config.base_width, *stages])


def _down(config: UNetConfig) -> Iterator[Block]:
    channels, stage = config.base_width, itertools.count()
    for level, width in enumerate(config.widths):
        for index in range(config.blocks_per_level):
            yield from _stage(config, "down", next(stage), level, index, channels)
            channels = width
        if level + 1 < len(config.widths):
            size = config.image_size >> level
            residual = size in config.residual_down_resolutions
            where = ("down", next(stage), 0, level, 0)
            kind = "residual_down" if residual else "downsample"
            yield Block(kind, *where, size, channels, channels)


def _middle(config: UNetConfig) -> Iterator[Block]:
    level, channels = len(config.widths) - 1, config.widths[-1]
    size = config.image_size >> level
    kinds = [("residual", 0), ("attention", 0), ("residual", 1)]
    if config.middle_attention == "none":
        kinds.remove(("attention", 0))
    normalized = config.middle_attention == "norm"
    for place, (kind, index) in enumerate(kinds):
        where = ("middle", None, place, level, index)
        heads = config.heads_of(channels)
        yield Block(kind, *where, size, channels, channels, normalized, heads)


def _up(config: UNetConfig, skips: list[int]) -> Iterator[Block]:
    channels, stage = config.widths[-1], itertools.count()
    for level, width in reversed(list(enumerate(config.widths))):
        for index in range(config.blocks_per_level + 1):
            inputs = channels + skips.pop()
            yield from _stage(config, "up", next(stage), level, index, inputs)
            channels = width
        if level:
            size = config.image_size >> level
            residual = size in config.residual_up_resolutions
            where = ("up", next(stage), 0, level, 0)
            kind = "residual_up" if residual else "upsample"
            yield Block(kind, *where, size, channels, channels)
    assert not skips


def _stage(
    config: UNetConfig, side: str, stage: int, level: int, index: int, inputs: int
) -> Iterator[Block]:
    """A residual block and, at some resolutions, attention."""
    size, width = config.image_size >> level, config.widths[level]
    yield Block("residual", side, stage, 0, level, index, size, inputs, width)
    attends = config.attention_resolutions
    if side == "up":
        attends = config.attention_resolutions_up
    if size in attends:
        heads = config.heads_of(width)
        where = (side, stage, 1, level, index)
        yield Block("attention", *where, size, width, width, heads=heads)
