"""A SavedModel of the student that stock TF Serving runs without this package."""

import os
import shutil
import uuid

import tensorflow as tf

from tf_student import images, noise
from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.errors import InputError
from tf_student.student import Student


class ServedStudent(tf.Module):
    """The student with its two signatures, in stock TensorFlow operations."""

    def __init__(self, student: Student):
        super().__init__()
        self._student = student
        self._shape = student.unet.config.image_shape
        spec = tf.TensorSpec([None, *self._shape], tf.float32, "noise")
        self.from_noise = tf.function(self._from_noise, input_signature=[spec])
        scalars = [
            tf.TensorSpec([], tf.int64, "seed"),
            tf.TensorSpec([], tf.int32, "count"),
        ]
        self.from_seed = tf.function(self._from_seed, input_signature=scalars)

    def _from_noise(self, z):
        return {"images": images.to_uint8(self._student(z, training=False))}

    def _from_seed(self, seed, count):
        indices = noise.EVALUATION + tf.range(tf.cast(count, tf.int64))
        return self._from_noise(noise.normal(seed, indices, self._shape))


def export(student: Student, directory: str) -> None:
    """Writes a SavedModel with a batch of any size.

    Its signatures are `serving_default`, from float32 noise `[n, h, w, c]` to uint8
    images of that shape, and `sample`, from int64 `seed` and int32 `count` to images:
    those that `tf-student sample` draws with the same seed.

    Raises:
        InputError: if the directory exists already; it is left as it was.
    """
    if tf.io.gfile.exists(directory):
        raise InputError(
            f"`export_dir` must not exist yet. Received: export_dir={directory}."
        )
    served = ServedStudent(student)
    signatures = {"serving_default": served.from_noise, "sample": served.from_seed}
    parent = os.path.dirname(os.path.abspath(directory))
    tf.io.gfile.makedirs(parent)
    temporary = f"{directory.rstrip('/')}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        # Signatures are traced here, and a server has no library of ours.
        with ops.stock_operations():
            tf.saved_model.save(served, temporary, signatures=signatures)
        tf.io.gfile.rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
