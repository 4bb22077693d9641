"""Tiny networks in which every weight affects the output."""

import keras
import numpy as np

from tf_student.architecture.unet_config import UNetConfig

TINY = UNetConfig(
    image_size=8,
    channels=3,
    base_width=8,
    width_multipliers=(1, 2),
    blocks_per_level=1,
    attention_resolutions=(4,),
    groups=4,
    dropout=0.0,
)


def randomise(model: keras.layers.Layer, seed: int = 0) -> keras.layers.Layer:
    """Replaces all weights by random ones: some layers are initialized with zeros."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 16.0
        value = rng.normal(size=weight.shape) / np.sqrt(fan_in)
        offset = 1.0 if weight.name == "gamma" else 0.0
        weight.assign((value + offset).astype(np.float32))
    return model
