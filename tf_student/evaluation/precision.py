"""Full float32 precision on GPUs."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Disables TF32, so that GPUs multiply all 24 significant bits of a float32.

    By default TensorFlow rounds the factors of convolutions and matrix products to 11
    significant bits (TF32) on GPUs. Figures would then depend on the device. Nearest
    neighbours would too, because their distances are differences of larger products.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
