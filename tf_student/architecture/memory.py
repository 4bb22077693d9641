"""Estimates the memory for training a UNet, from the plan of its blocks."""

import itertools
import math

from tf_student.architecture import plan
from tf_student.architecture.plan import Block
from tf_student.architecture.unet_config import UNetConfig

# Weights, EMA weights, Adam's two moments and the gradients, all in float32.
_COPIES = 5

# The fake score with Adam's two moments, and the teacher. The gradients of student and
# fake score do not exist at the same time.
_MATCHING_COPIES = 4

# Bytes of TensorFlow's runtime and of the graphs of a step: first those of any step,
# then those of each of its networks. Measured by `benchmarks/memory.py`.
_RUNTIME, _GRAPHS = 9 * 2**30 // 100, 6 * 2**30 // 100


def parameters(config: UNetConfig) -> int:
    """The number of parameters of `UNet(config)`.

    Example:

    >>> from tf_student.architecture import memory
    >>> memory.parameters(UNetConfig())
    35746307
    """
    return sum(map(math.prod, plan.variables(config).values()))


def training(
    config: UNetConfig, images: int, *, half: bool = False, recompute: bool = False
) -> int:
    """Estimates the bytes of one device's memory at the peak of a training step.

    The estimate covers the weights with their EMA, moments and gradients, the
    activations that the forward pass stores for the gradients, and the gradients of
    activations at the widest block. It excludes the memory of libraries and the
    workspace of convolutions.

    Args:
        config: the network.
        images: the number of images that the device processes at once.
        half: whether it computes in a type of two bytes.
        recompute: whether gradient checkpointing stores only the input of each block.

    Returns:
        The number of bytes.
    """
    weights = parameters(config) * (4 * _COPIES + (2 if half else 0))
    values = _stored(config, config.dropout, recompute) + _gradients(config)
    return weights + images * values * (2 if half else 4)


def matching(
    config: UNetConfig,
    images: int,
    *,
    through_teacher: bool,
    regression: bool = False,
    half: bool = False,
    recompute: bool = False,
) -> int:
    """Estimates the peak of a step of distribution matching, as `training`.

    The phases of the step come one after the other; that of the student needs most.

    Args:
        config: the network.
        images: the number of images that the device processes at once.
        through_teacher: whether the student's loss has gradients through the teacher
            and the fake score, as SiD has and DMD has not.
        regression: whether the loss contains a distance to pairs, for which the student
            is called a second time.
        half: whether it computes in a type of two bytes.
        recompute: whether gradient checkpointing stores only the input of each block.
    """
    copies = _COPIES + _MATCHING_COPIES
    weights = parameters(config) * (4 * copies + (3 * 2 if half else 0))
    # No network of a matching step uses dropout.
    stored = _stored(config, 0.0, recompute)
    calls = (3 if through_teacher else 1) + regression
    values = calls * stored + _gradients(config)
    if not through_teacher:
        # Before the student's gradients, the other two networks run side by side.
        other = 2 * (_skips(config) + _gradients(config))
        values = max(values, stored + other)
    return weights + images * values * (2 if half else 4)


def runtime(networks: int, *, recomputed: int = 0) -> int:
    """Estimates the bytes of the host's memory that a step needs besides.

    These are TensorFlow's runtime and the step's graphs. Where the device is the CPU,
    the peak of the process is that of the libraries, this and that of the step.

    Args:
        networks: the number of networks in the step: 1, and 3 or 4 for matching.
        recomputed: how many of them use gradient checkpointing, which adds a second
            forward pass to a network's graph.
    """
    return _RUNTIME + (networks + recomputed) * _GRAPHS


def _stored(config: UNetConfig, dropout: float, recompute: bool) -> int:
    """The number of values of an image that are stored for the gradients."""
    blocks = list(plan.blocks(config))
    inside = [_inside(block, dropout) for block in blocks]
    stored = sum(block.size**2 * block.inputs for block in blocks)
    # Input and output of the last norm.
    stored += 2 * config.image_size**2 * config.widths[0]
    return stored + (max(inside) if recompute else sum(inside))


def _skips(config: UNetConfig) -> int:
    """The number of an image's values that the encoder keeps for the decoder."""
    blocks = itertools.pairwise(plan.blocks(config))
    return sum(
        block.size**2 * (block.inputs - before.outputs)
        for before, block in blocks
        if block.side == "up"
    )


def _gradients(config: UNetConfig) -> int:
    """The number of gradients of an image's activations at the widest block.

    A forward pass without gradients has as many activations there.
    """
    blocks = plan.blocks(config)
    return 2 * max(b.size**2 * (b.inputs + b.outputs) for b in blocks)


def _inside(block: Block, dropout: float) -> int:
    """The number of values that a block stores for its gradients besides its input."""
    pixels = block.size**2
    if block.is_residual:
        # The outputs of both norms, and the input of the second. A change of resolution
        # comes after the first norm.
        scale = {"down": 0.25, "": 1, "up": 4}[block.resamples]
        values = pixels * block.inputs + 2 * int(scale * pixels) * block.outputs
        # The mask of dropout, and its output.
        return values + (2 * int(scale * pixels) * block.outputs if dropout else 0)
    if block.kind == "attention":
        # The output of the norm; q, k and v; the attention weights of each head; their
        # output.
        return pixels * (5 * block.inputs + block.heads * pixels)
    # Downsampling pads the input of its convolution.
    return pixels * block.inputs if block.kind == "downsample" else 0
