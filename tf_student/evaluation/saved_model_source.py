"""A SavedModel from noise to images as a source of images."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.evaluation.image_sources import Source
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.serving import metadata


def load(path: str, run: RunConfig) -> Source:
    """Loads a SavedModel whose signature `serving_default` turns noise into images.

    Args:
        path: of the SavedModel.
        run: how many images to generate at once.

    Raises:
        InputError: if the signature is missing or has other inputs or outputs.
    """
    paths.check_restorable(path)
    model = tf.saved_model.load(path)
    signature = model.signatures.get("serving_default")
    input_name, output_name, shape = _interface(path, signature)
    batch = run.device_batch
    if metadata.exists(path):
        # An export rejects larger requests.
        batch = min(batch, metadata.read(path).max_count)

    def generate(z: np.ndarray) -> np.ndarray:
        # The function of the signature needs its model to stay alive.
        assert model is not None
        parts = (tf.constant(z[i : i + batch]) for i in range(0, len(z), batch))
        return np.concatenate(
            [signature(**{input_name: part})[output_name].numpy() for part in parts]
        )

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        for start in range(first, first + count, batch):
            size = min(batch, first + count - start)
            indices = tf.range(start, start + size, 1, tf.int64) + noise.EVALUATION
            yield generate(noise.normal(0, indices, shape).numpy())

    return Source(os.path.normpath(path), read, shape, None, "", generate, batch)


def _interface(path: str, signature) -> tuple[str, str, tuple[int, int, int]]:
    """The names of the input and the output, and the shape of an image."""
    inputs = signature.structured_input_signature[1] if signature else {}
    if len(inputs) != 1 or len(signature.structured_outputs) != 1:
        raise InputError(
            f"{path} must have the signature serving_default with one input, noise, "
            f"and one output, images. Received: {', '.join(sorted(inputs)) or 'none'}."
        )
    ((input_name, spec),) = inputs.items()
    ((output_name, images),) = signature.structured_outputs.items()
    if spec.dtype != tf.float32 or spec.shape.rank != 4 or None in spec.shape[1:]:
        raise InputError(
            f"{path} must take float32 noise [n, height, width, channels]. "
            f"Received: {spec.dtype.name} {spec.shape}."
        )
    if images.dtype != tf.uint8:
        raise InputError(
            f"{path} must return uint8 images, rounded before they are measured. "
            f"Received: {images.dtype.name}."
        )
    return input_name, output_name, tuple(spec.shape[1:])
