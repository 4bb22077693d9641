"""Builds networks with published weights."""

import dataclasses
from typing import Any

from absl import logging

from tf_student.architecture import plan
from tf_student.convert import rows, sources
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.models.unet import UNet


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A network with published weights.

    Attributes:
        unet: the network.
        diffusion: the forward process that it was trained on.
        is_student: whether the weights are those of a one-step generator.
    """

    unet: UNet
    diffusion: DiffusionConfig
    is_student: bool


def read(source: str, **options: Any) -> Pretrained:
    """Reads published weights into a new network.

    Args:
        source: a path, or `hf:owner/name`; see `convert.sources.open_source`.
        **options: `weights`, which of several networks to read, and fields of
            `UNetConfig` and `DiffusionConfig` that replace what the source implies.

    Raises:
        InputError: if the source cannot be read, if a tensor or a variable is not used
            exactly once, or if a value is not finite.
        TypeError: if neither has one of the options.
    """
    published = sources.open_source(source, **options)
    config = published.config
    values = rows.apply(
        published.rows(config), published.tensors, plan.variables(config)
    )
    logging.info(
        "%s is %s. Weights: %s.", source, published.kind, published.tensors.note
    )
    unet = UNet(config)
    variables = unet.named_variables()
    for path, value in values:
        variables[path].assign(value)
    return Pretrained(unet, published.diffusion, published.is_student)
