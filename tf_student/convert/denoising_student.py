"""The `.h5` files of teachers and students that the Denoising Student published.

Keras wrote them from subclassed models of github.com/tcl9876/Denoising_Student: the
tensors are in the order in which the layers were created. Their names do not identify
them, because Keras numbered the layers of the whole process. The network ported from
PyTorch (CelebA) creates its layers in another order than those ported from TensorFlow
(CIFAR-10, LSUN).
"""

from collections.abc import Collection, Iterator, Mapping

from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert.rows import Row, Shape
from tf_student.runtime.errors import InputError

# The default of the normalization layer that they were trained with.
NORM_EPSILON = 1e-3

# Image size and width multipliers: CIFAR-10, CelebA, LSUN.
_SYSTEMS = (
    (32, (1, 2, 2, 2)),
    (64, (1, 2, 2, 2, 4)),
    (256, (1, 1, 2, 2, 4, 4)),
)
# Order of the layers of a block, by whether the network was ported from PyTorch.
_RESIDUAL: dict[bool, tuple[str, ...]] = {
    False: ("conv_0", "conv_1", "shortcut", "norm_0", "norm_1", "time"),
    True: ("norm_0", "conv_0", "time", "norm_1", "conv_1", "shortcut"),
}
_ATTENTION: dict[bool, tuple[str, ...]] = {
    False: ("k", "norm", "out", "q", "v"),
    True: ("norm", "q", "k", "v", "out"),
}


def rows(config: UNetConfig, *, from_pytorch: bool) -> list[Row]:
    """The table: our variables and the positions of their tensors, `0`, `1`, ...

    Args:
        config: the architecture.
        from_pytorch: whether the network was ported from PyTorch.
    """
    layers = {layer.path: layer for layer in plan.layers(config)}
    positions: dict[str, dict[str, list[str]]] = {}
    for number, path in enumerate(_order(config, layers, from_pytorch)):
        stem, _, part = path.rpartition(".")
        if part in ("q", "k", "v"):
            path = f"{stem}.qkv"
        slots = positions.setdefault(path, {})
        slots[part] = [str(2 * number), str(2 * number + 1)]
    table = []
    for path, slots in positions.items():
        parts = [slots[p] for p in "qkv"] if "q" in slots else list(slots.values())
        for variable, tensors in zip(
            layers[path].variables(), zip(*parts, strict=True), strict=True
        ):
            table.append(Row(variable, tensors))
    return table


def _order(
    config: UNetConfig, layers: Collection[str], from_pytorch: bool
) -> Iterator[str]:
    """Paths of the layers in the order of the file; q, k and v are separate."""
    blocks = list(plan.blocks(config))

    def layers_of(kind: str, side: str, level: int | None = None) -> Iterator[str]:
        for block in blocks:
            if (block.kind, block.side) != (kind, side):
                continue
            if level is not None and block.level != level:
                continue
            names = {"residual": _RESIDUAL, "attention": _ATTENTION}.get(kind)
            for name in names[from_pytorch] if names else ("conv",):
                path = f"{block.path}.{name}"
                if path in layers or name in ("q", "k", "v"):
                    yield path

    def levels(side: str, resample: str) -> Iterator[str]:
        for level in range(len(config.widths)):
            parts = [
                layers_of("attention", side, level),
                layers_of("residual", side, level),
            ]
            for part in reversed(parts) if from_pytorch else parts:
                yield from part
            yield from layers_of(resample, side, level)

    embedding = ("embedding.dense_0", "embedding.dense_1")
    yield from (*embedding, "stem") if from_pytorch else ("stem", "head")
    yield from levels("down", "downsample")
    middle = list(layers_of("residual", "middle"))
    half = len(middle) // 2
    if from_pytorch:
        yield from (*middle[:half], *layers_of("attention", "middle"), *middle[half:])
    else:
        yield from (*layers_of("attention", "middle"), *middle, "norm", *embedding)
    yield from levels("up", "upsample")
    if from_pytorch:
        yield from ("norm", "head")


def infer(shapes: Mapping[str, Shape], origin: str) -> tuple[UNetConfig, bool]:
    """The architecture, and whether the teacher was ported from PyTorch.

    Args:
        shapes: shape of each tensor by its position in the file, `0`, `1`, ...
        origin: the file, for messages.

    Raises:
        InputError: if the tensors are not those of a published network.
    """
    first = shapes.get("0", ())
    from_pytorch = len(first) == 2
    base = first[0] if from_pytorch else first[-1] if first else 0
    for size, multipliers in _SYSTEMS:
        if base < 2 or base % 32:
            break
        config = UNetConfig(
            image_size=size,
            base_width=base,
            width_multipliers=multipliers,
            norm_epsilon=NORM_EPSILON,
            dropout=0.0,
        )
        tensors = sum(len(r.theirs) for r in rows(config, from_pytorch=from_pytorch))
        if tensors == len(shapes):
            return config, from_pytorch
    raise InputError(
        f"{origin} must be one of the Denoising Student's networks. Received: "
        f"{len(shapes)} tensors, the first of shape {first}."
    )
