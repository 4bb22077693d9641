"""A SavedModel from noise to images as a source of images.

TensorFlow runs whatever operations a SavedModel holds, which can read and write files.
Load only those that you trust.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.diffusion.inputs import Inputs
from tf_student.evaluation.image_sources import Source, drawn_labels
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.serving import metadata
from tf_student.serving.signatures import LABELS


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
    classes, limit = _about(path)
    signature = model.signatures.get("serving_default")
    input_name, output_name, shape = _interface(path, signature, classes)
    # An export rejects larger requests.
    batch = min(run.device_batch, limit or run.device_batch)

    def generate(inputs: Inputs) -> np.ndarray:
        # The function of the signature needs its model to stay alive.
        assert model is not None
        parts = _parts(inputs, input_name, batch)
        return np.concatenate(
            [signature(**part)[output_name].numpy() for part in parts]
        )

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        for start in range(first, first + count, batch):
            size = min(batch, first + count - start)
            indices = tf.range(start, start + size, 1, tf.int64) + noise.EVALUATION
            drawn = network_inputs.batch(0, indices, shape, classes)
            yield generate(tf.nest.map_structure(lambda tensor: tensor.numpy(), drawn))

    return Source(
        os.path.normpath(path),
        read,
        shape,
        None,
        "",
        generate,
        batch,
        classes=classes,
        labels=drawn_labels(0, noise.EVALUATION, classes),
    )


def _about(path: str) -> tuple[int, int]:
    """Number of classes, and the largest number of images; 0 if it is unknown."""
    if not metadata.exists(path):
        return 0, 0
    about = metadata.read(path)
    return about.classes, about.max_count


def _parts(inputs: Inputs, name: str, batch: int) -> Iterator[dict[str, tf.Tensor]]:
    """The arguments of the signature for each batch."""
    z, labels = network_inputs.split(inputs)
    arrays = {name: z} if labels is None else {name: z, LABELS: labels}
    for start in range(0, len(z), batch):
        yield {
            key: tf.constant(array[start : start + batch])
            for key, array in arrays.items()
        }


def _interface(
    path: str, signature: Any, classes: int
) -> tuple[str, str, tuple[int, int, int]]:
    """The names of the input and the output, and the shape of an image."""
    inputs = dict(signature.structured_input_signature[1]) if signature else {}
    if classes:
        inputs.pop(LABELS, None)
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
