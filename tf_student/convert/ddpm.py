"""The layout of DDPM's code, in TensorFlow 1 and as ported to PyTorch.

Names are those of github.com/hojonathanho/diffusion (`down_0/block_1/conv1/W`) and of
github.com/ermongroup/ddim (`down.0.block.1.conv1.weight`). Neither file stores a
config. The names and shapes of the tensors imply everything except the image size,
which follows from the resolution of the attention: 16x16 in all published networks.
"""

import re
from collections.abc import Mapping

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import diffusers, families
from tf_student.convert.rows import Row, Shape
from tf_student.runtime.errors import InputError

_ATTENTION_SIZE = 16
# The largest published network has six.
_LEVELS = 12

_TOP = {
    "stem": "conv_in",
    "dense_0": "temb.dense.0",
    "dense_1": "temb.dense.1",
    "norm": "norm_out",
    "head": "conv_out",
}
_NAMES = {
    "norm_0": "norm1",
    "conv_0": "conv1",
    "time": "temb_proj",
    "norm_1": "norm2",
    "conv_1": "conv2",
    "shortcut": "nin_shortcut",
    "norm": "norm",
    "out": "proj_out",
    "conv": "conv",
}
_KINDS = {"residual": "block", "attention": "attn"}


def rows(config: UNetConfig) -> list[Row]:
    """The table of the PyTorch port: our variables and its names."""
    return [
        Row(path, tuple(f"{prefix}.{leaf}" for prefix in _prefixes(layer)), True)
        for layer in plan.layers(config)
        for path, leaf in zip(layer.variables(), diffusers.leaves(layer), strict=True)
    ]


def tensorflow_rows(config: UNetConfig) -> list[Row]:
    """The table of DDPM's own checkpoints: our variables and their names."""
    table = []
    for layer in plan.layers(config):
        leaves = {"norm": ("gamma", "beta"), "table": ("W",)}.get(
            layer.kind, ("W", "b")
        )
        for path, leaf in zip(layer.variables(), leaves, strict=True):
            names = (_to_tensorflow(f"{p}.{leaf}") for p in _prefixes(layer))
            table.append(Row(path, tuple(names)))
    return table


def _prefixes(layer: plan.Layer) -> list[str]:
    block = layer.block
    if block is None:
        # The layout has no classes.
        return [_TOP.get(layer.name, layer.name)]
    if block.side == "middle":
        start = f"mid.{_KINDS[block.kind]}_{block.index + 1}"
    elif block.kind in _KINDS:
        start = f"{block.side}.{block.level}.{_KINDS[block.kind]}.{block.index}"
    else:
        start = f"{block.side}.{block.level}.{block.kind}"
    names = ("q", "k", "v") if layer.name == "qkv" else (_NAMES[layer.name],)
    return [f"{start}.{name}" for name in names]


def _to_tensorflow(name: str) -> str:
    """`down.0.block.1.conv1.W` as `down_0/block_1/conv1/W`, `dense.0` as `dense0`."""
    name = re.sub(r"\b(down|up|block|attn)\.(\d+)", r"\1_\2", name)
    return re.sub(r"dense\.(\d)", r"dense\1", name).replace(".", "/")


def ema_name(name: str) -> str | None:
    """The table's name of an EMA weight in a checkpoint; None for other tensors."""
    if not name.endswith("/ExponentialMovingAverage"):
        return None
    name = name.removesuffix("/ExponentialMovingAverage")
    # `model` is the scope of the whole network.
    return name.split("/", 1)[-1] if name.startswith("model/") else name


def infer(
    shapes: Mapping[str, Shape], origin: str, image_size: int | None = None
) -> UNetConfig:
    """The architecture that the names and shapes of the PyTorch port imply.

    Args:
        shapes: shape of each tensor by name.
        origin: the file, for messages.
        image_size: None if it follows from the attention.

    Raises:
        InputError: if the tensors are not those of a DDPM.
    """
    try:
        base, channels = shapes["conv_in.weight"][:2]
        outputs = shapes["conv_out.weight"][0]
        levels = 1 + max(_numbers(shapes, r"down\.(\d+)\."))
        count = 1 + max(_numbers(shapes, r"down\.0\.block\.(\d+)\."))
        if levels > _LEVELS or count > len(shapes):
            raise ValueError
        widths = [shapes[f"down.{i}.block.0.conv1.weight"][0] for i in range(levels)]
        if min(base, channels, *widths) < 1:
            raise ValueError
    except (KeyError, ValueError, IndexError):
        raise InputError(
            f"{origin} must have DDPM's layout (conv_in, down.0.block.0.conv1, ...) or "
            f"guided-diffusion's. {families.COVERED}. "
            f"Received: {', '.join(sorted(shapes)[:3]) or 'no tensors'}."
        ) from None
    attends = sorted(set(_numbers(shapes, r"down\.(\d+)\.attn\.")))
    size = image_size or _ATTENTION_SIZE * 2 ** (attends[0] if attends else levels - 1)
    return UNetConfig(
        image_size=size,
        channels=channels,
        base_width=base,
        width_multipliers=tuple(width // base for width in widths),
        blocks_per_level=count,
        attention_resolutions=tuple(size // 2**level for level in attends),
        dropout=0.0,
        learned_variance=outputs == 2 * channels,
    )


def infer_tensorflow(
    shapes: Mapping[str, Shape], origin: str, image_size: int | None = None
) -> UNetConfig:
    """Like `infer`, for DDPM's own checkpoints."""
    ported = {}
    for name, shape in shapes.items():
        name = re.sub(r"\b(down|up|block|attn)_(\d+)/", r"\1.\2.", name)
        name = name.replace("/", ".")
        if name.endswith(".W"):
            name, shape = f"{name[:-2]}.weight", shape[::-1]
        ported[name] = shape
    return infer(ported, origin, image_size)


def _numbers(shapes: Mapping[str, Shape], pattern: str) -> list[int]:
    matches = (re.match(pattern, name) for name in shapes)
    return [int(match.group(1)) for match in matches if match]
