"""Runs a sampler on all devices, in batches of a fixed size."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion.inputs import Inputs
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.runtime.fixed_batches import FixedBatches
from tf_student.runtime.run_config import RunConfig


class Generator:
    """Computes uint8 images from noise, and labels, on all devices.

    Every device always receives `run.device_batch` examples; the last batch is padded.
    So the function is compiled once, and an image does not depend on the number of
    devices.

    Args:
        strategy: its replicas share the work.
        sample: function from float32 noise `[batch, *shape]` to float images of the
            same shape, about [-1, 1]; with classes, from the pair of noise and int32
            labels `[batch]`.
        shape: `(height, width, channels)` of an image.
        classes: number of classes; 0: the network has none.
        run: the batch size of a device, and whether to compile with XLA.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        sample: Callable[[Inputs], tf.Tensor],
        shape: tuple[int, int, int],
        *,
        classes: int = 0,
        run: RunConfig = RunConfig(),
    ):
        self.shape, self.classes = shape, classes

        @tf.function(autograph=False, jit_compile=devices.use_xla(run.xla))
        def compiled(inputs):
            return images.to_uint8(sample(inputs))

        self._run = FixedBatches(strategy, compiled, device_batch=run.device_batch)
        self.batch = self._run.batch

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """uint8 images `[n, *shape]` for any n.

        Args:
            inputs: float32 noise `[n, *shape]`; with classes, (noise, int32 labels
                `[n]`).
        """
        z, _ = network_inputs.split(inputs)
        return self._run(inputs) if len(z) else np.zeros((0, *self.shape), np.uint8)

    def from_seed(
        self, seed: int, first: int, count: int, labels: Sequence[int] | None = None
    ) -> np.ndarray:
        """Images of the noise with the indices `first` to `first + count - 1`.

        Only one batch of noise is in memory at a time.

        Args:
            seed: of the noise.
            first: the first index.
            count: number of images.
            labels: the class of each image; None draws it from seed and index.

        Returns:
            uint8 `[count, *shape]`.

        Raises:
            InputError: if `count` is negative, or if labels are not those of classes.
        """
        if count < 0:
            raise InputError(
                f"The number of images must be at least 0. Received: {count}."
            )
        if labels is not None:
            network_inputs.check_labels(labels, count, self.classes)
        # Without images, this is the result.
        batches = [np.zeros((0, *self.shape), np.uint8)]
        for start in range(first, first + count, self.batch):
            end = min(start + self.batch, first + count)
            chosen = None if labels is None else labels[start - first : end - first]
            batches.append(self(self._inputs(seed, start, end, chosen)))
        return np.concatenate(batches)

    def _inputs(
        self, seed: int, start: int, end: int, labels: Sequence[int] | None
    ) -> Inputs:
        indices = tf.range(start, end, 1, tf.int64)
        if labels is not None:
            z = network_inputs.batch(seed, indices, self.shape)
            return z.numpy(), np.array(labels, np.int32)
        drawn = network_inputs.batch(seed, indices, self.shape, self.classes)
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), drawn)
