"""Runs a sampler on all devices, in batches of one fixed size."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student import images, noise


class Generator:
    """Turns noise into uint8 images with any function, on every device.

    Every device always gets `device_batch` examples, the last ones padded, so the
    function is compiled once and an image does not depend on the number of devices.

    Args:
        strategy: its replicas share the work.
        sample: from float32 noise `[batch, *shape]` to float images of that shape.
        shape: of one image.
        device_batch: images that one device makes at once.
        xla: whether to compile with XLA.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        sample: Callable[[tf.Tensor], tf.Tensor],
        shape: tuple[int, int, int],
        *,
        device_batch: int,
        xla: bool,
    ):
        self.shape = shape
        self.batch = device_batch * strategy.num_replicas_in_sync
        self._strategy, self._device_batch = strategy, device_batch

        @tf.function(jit_compile=xla)
        def compiled(z):
            return images.to_uint8(sample(z))

        def replica(z):
            return compiled(z)

        self._run = tf.function(lambda z: strategy.run(replica, args=(z,)))

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """uint8 images `[n, *shape]` of float32 noise `[n, *shape]`, n of any size."""
        if not len(z):
            return np.zeros((0, *self.shape), np.uint8)
        batches = [
            self._one_batch(z[i : i + self.batch]) for i in range(0, len(z), self.batch)
        ]
        return np.concatenate(batches)[: len(z)]

    def _one_batch(self, z: np.ndarray) -> np.ndarray:
        padding = [(0, self.batch - len(z))] + [(0, 0)] * len(self.shape)
        z = np.pad(z, padding, mode="edge")
        size = self._device_batch

        def part(context):
            replica = context.replica_id_in_sync_group
            return tf.constant(z[replica * size : (replica + 1) * size])

        per_replica = self._strategy.experimental_distribute_values_from_function(part)
        outputs = self._strategy.experimental_local_results(self._run(per_replica))
        return np.concatenate([output.numpy() for output in outputs])

    def from_seed(self, seed: int, first: int, count: int) -> np.ndarray:
        """Images of noise `first`, `first + 1`, .. of a seed, uint8 `[count, *shape]`.

        Only a batch of noise is in memory at a time.
        """
        batches = []
        for start in range(first, first + count, self.batch):
            indices = tf.range(
                start, min(start + self.batch, first + count), 1, tf.int64
            )
            batches.append(self(noise.normal(seed, indices, self.shape).numpy()))
        return np.concatenate(batches)
