"""Float32 that is float32, on GPUs too."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Within it GPUs multiply all 24 bits of a float32.

    TensorFlow lets them round the factors of convolutions and matrix products to 11
    bits (TF32) unless told otherwise. Figures would then depend on the device, and the
    nearest neighbours too, whose distances are differences of larger products.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
