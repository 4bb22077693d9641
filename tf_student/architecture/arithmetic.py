"""Counts the arithmetic of a UNet, from the plan of its layers."""

import math

from tf_student.architecture import plan
from tf_student.architecture.plan import Layer
from tf_student.architecture.unet_config import UNetConfig


def multiply_adds(config: UNetConfig) -> int:
    """The multiply-adds of one network call for one image: half its FLOPs.

    They are those of convolutions, dense layers and attention; the rest takes few. The
    convolution after a doubling counts with all taps, although `Upsample` needs fewer.
    A training step takes about three times as many for each image.

    Example:

    >>> from tf_student.architecture import arithmetic
    >>> round(arithmetic.multiply_adds(UNetConfig()) / 1e9, 2)
    6.22
    """
    layers = sum(_of_layer(layer, config) for layer in plan.layers(config))
    # The products of queries with keys, and of the weights with values.
    attention = sum(
        2 * block.size**4 * block.inputs
        for block in plan.blocks(config)
        if block.kind == "attention"
    )
    return layers + attention


def _of_layer(layer: Layer, config: UNetConfig) -> int:
    if layer.kind in ("norm", "table"):
        return 0
    kernel, *_ = layer.shapes().values()
    return math.prod(kernel) * _positions(layer, config)


def _positions(layer: Layer, config: UNetConfig) -> int:
    """How often the layer's kernel is applied."""
    if layer.block is None:
        return 1 if layer.owner else config.image_size**2
    if layer.name == "time":
        return 1
    half = layer.block.size // 2
    return {"down": half, "": layer.block.size, "up": 4 * half}[
        layer.block.resamples
    ] ** 2
