"""Two generators' images of the same noise."""

import dataclasses

import numpy as np
import tensorflow as tf

from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.evaluation.image_sources import Source

# Beyond the range of indices that the separate measurements use.
_FIRST_INDEX = noise.EVALUATION + 2**39


@dataclasses.dataclass(frozen=True)
class SameNoise:
    """Images of the same noise by two generators.

    Attributes:
        names: of the generators.
        images: of the generators, uint8 `[n, height, width, channels]` each.
    """

    names: tuple[str, str]
    images: tuple[np.ndarray, np.ndarray]


def generate(a: Source, b: Source, count: int) -> SameNoise:
    """Generates `count` images of the same noise with both generators."""
    assert a.generate is not None and b.generate is not None
    assert a.shape is not None and (a.shape, a.classes) == (b.shape, b.classes)
    drawn = network_inputs.batch(0, _FIRST_INDEX + np.arange(count), a.shape, a.classes)
    inputs = tf.nest.map_structure(lambda tensor: tensor.numpy(), drawn)
    return SameNoise((a.name, b.name), (a.generate(inputs), b.generate(inputs)))
