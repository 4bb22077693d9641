"""Published weights, and what their source says about the network."""

import dataclasses
from collections.abc import Callable

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert.rows import Row, Tensors
from tf_student.diffusion.diffusion_config import DiffusionConfig


@dataclasses.dataclass(frozen=True)
class Published:
    """Published weights, and what their source says about the network.

    Attributes:
        kind: what the source is, such as `a TensorFlow checkpoint of DDPM`.
        config: the architecture that the source states or implies.
        diffusion: the forward process.
        tensors: the weights.
        rows: returns the table that maps them to the variables of a `UNetConfig`.
        is_student: whether they are the weights of a one-step generator.
    """

    kind: str
    config: UNetConfig
    diffusion: DiffusionConfig
    tensors: Tensors
    rows: Callable[[UNetConfig], list[Row]]
    is_student: bool = False
