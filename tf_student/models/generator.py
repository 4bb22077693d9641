"""Runs a sampler on all devices, in batches of a fixed size."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.fixed_batches import FixedBatches
from tf_student.runtime.run_config import RunConfig


class Generator:
    """Computes uint8 images from noise on all devices.

    Every device always receives `run.device_batch` examples; the last batch is padded.
    So the function is compiled once, and an image does not depend on the number of
    devices.

    Args:
        strategy: its replicas share the work.
        sample: function from float32 noise `[batch, *shape]` to float images of the
            same shape, about [-1, 1].
        shape: `(height, width, channels)` of an image.
        run: the batch size of a device, and whether to compile with XLA.
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
        """uint8 images `[n, *shape]` of float32 noise `[n, *shape]`, for any n."""
        return self._run(z) if len(z) else np.zeros((0, *self.shape), np.uint8)

    def from_seed(self, seed: int, first: int, count: int) -> np.ndarray:
        """Images of the noise with the indices `first` to `first + count - 1`.

        Only one batch of noise is in memory at a time.

        Args:
            seed: of the noise.
            first: the first index.
            count: number of images.

        Returns:
            uint8 `[count, *shape]`.

        Raises:
            InputError: if `count` is negative.
        """
        if count < 0:
            raise InputError(
                f"The number of images must be at least 0. Received: {count}."
            )
        # Without images, this is the result.
        batches = [np.zeros((0, *self.shape), np.uint8)]
        for start in range(first, first + count, self.batch):
            indices = tf.range(
                start, min(start + self.batch, first + count), 1, tf.int64
            )
            batches.append(self(noise.normal(seed, indices, self.shape).numpy()))
        return np.concatenate(batches)
