"""How much memory a device needs to train a UNet, from the plan of its blocks."""

import math

from tf_student.architecture import plan
from tf_student.architecture.plan import Block
from tf_student.architecture.unet_config import UNetConfig

# Weights, their averages, Adam's two moments and the gradients; all in float32.
_COPIES = 5


def parameters(config: UNetConfig) -> int:
    """Weights of `UNet(config)`."""
    return sum(map(math.prod, plan.variables(config).values()))


def training(
    config: UNetConfig, images: int, *, half: bool = False, recompute: bool = False
) -> int:
    """Bytes of a device at the peak of a training step.

    That is the weights and what belongs to them, what the forward pass keeps for the
    gradients, and the gradients at the widest block. What libraries need for themselves
    and for a convolution's work comes on top.

    Args:
        config: the network.
        images: that the device holds at once.
        half: whether it computes in two bytes.
        recompute: whether only inputs of blocks are kept.
    """
    blocks = list(plan.blocks(config))
    pixels, top = config.image_size**2, config.widths[0]
    inside = [_inside(block, config.dropout) for block in blocks]
    kept = sum(block.size**2 * block.inputs for block in blocks)
    # The last norm's input and output.
    kept += 2 * pixels * top
    kept += max(inside) if recompute else sum(inside)
    passing = 2 * max(b.size**2 * (b.inputs + b.outputs) for b in blocks)
    weights = parameters(config) * (4 * _COPIES + (2 if half else 0))
    return weights + images * (kept + passing) * (2 if half else 4)


def _inside(block: Block, dropout: float) -> int:
    """Values that a block keeps beside its input."""
    pixels = block.size**2
    if block.kind == "residual":
        # Each norm's output, and the second one's input.
        values = block.inputs + 2 * block.outputs
        # The mask, and what it leaves.
        return pixels * (values + (2 * block.outputs if dropout else 0))
    if block.kind == "attention":
        # The norm's output; q, k and v; the weights; the mean of v.
        return pixels * (5 * block.inputs + pixels)
    # Downsampling pads what its convolution sees.
    return pixels * block.inputs if block.kind == "downsample" else 0
