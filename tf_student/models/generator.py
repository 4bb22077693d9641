"""Runs a sampler on all devices, in batches of one fixed size."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.runtime import devices
from tf_student.runtime.fixed_batches import FixedBatches
from tf_student.runtime.run_config import RunConfig


class Generator:
    """Turns noise into uint8 images with any function, on every device.

    Every device always gets `run.device_batch` examples, the last ones padded, so that
    the function is compiled once and an image does not depend on the number of devices.

    Args:
        strategy: its replicas share the work.
        sample: from float32 noise `[batch, *shape]` to float images of that shape.
        shape: `(height, width, channels)` of an image.
        run: images that a device makes at once, and whether to compile with XLA.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        sample: Callable[[tf.Tensor], tf.Tensor],
        shape: tuple[int, int, int],
        *,
        run: RunConfig = RunConfig(),
    ):
        self.shape = shape

        @tf.function(jit_compile=devices.use_xla(run.xla))
        def compiled(z):
            return images.to_uint8(sample(z))

        self._run = FixedBatches(strategy, compiled, device_batch=run.device_batch)
        self.batch = self._run.batch

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """uint8 images `[n, *shape]` of float32 noise `[n, *shape]`, n of any size."""
        return self._run(z) if len(z) else np.zeros((0, *self.shape), np.uint8)

    def from_seed(self, seed: int, first: int, count: int) -> np.ndarray:
        """Images of noise `first`, `first + 1`, ... of a seed, uint8 `[count, *shape]`.

        Only one batch of noise is in memory at a time.
        """
        batches = []
        for start in range(first, first + count, self.batch):
            indices = tf.range(
                start, min(start + self.batch, first + count), 1, tf.int64
            )
            batches.append(self(noise.normal(seed, indices, self.shape).numpy()))
        return np.concatenate(batches)
