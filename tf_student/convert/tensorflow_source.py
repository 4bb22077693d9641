"""Opens DDPM's TensorFlow checkpoints and the Denoising Student's `.h5` files."""

import os
import re

import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.convert import ddpm, denoising_student, h5_file, tensor_files
from tf_student.convert.published import Published
from tf_student.convert.rows import Row
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.runtime.errors import InputError

_FILES = re.compile(r"\.(?:index|meta|data-\d{5}-of-\d{5})$")


def prefix(path: str) -> str | None:
    """The prefix of the checkpoint that a path names, or None.

    Args:
        path: the prefix, one of the checkpoint's files, or a folder of one checkpoint.

    Raises:
        InputError: if a folder has several checkpoints of which none is the latest.
    """
    if not tf.io.gfile.isdir(path):
        bare = _FILES.sub("", path)
        return bare if tf.io.gfile.exists(f"{bare}.index") else None
    names = tf.io.gfile.listdir(path)
    found = [n.removesuffix(".index") for n in names if n.endswith(".index")]
    if len(found) > 1:
        found = [name for name in found if name == _latest(path)] or found
    if len(found) > 1:
        raise InputError(
            f"`source` must name one of {path}'s {len(found)} checkpoints."
        )
    return os.path.join(path, found[0]) if found else None


def _latest(folder: str) -> str:
    """The name in a folder's file `checkpoint`; only the part after its own folders."""
    path = os.path.join(folder, "checkpoint")
    if not tf.io.gfile.exists(path):
        return ""
    with tf.io.gfile.GFile(path, "rb") as file:
        match = re.match(rb'\s*model_checkpoint_path:\s*"([^"]*)"', file.read(2**16))
    return os.path.basename(match[1].decode(errors="replace")) if match else ""


def checkpoint(prefix: str, image_size: int | None = None) -> Published:
    """Opens a checkpoint of DDPM.

    Args:
        prefix: from `prefix`.
        image_size: None if it follows from the attention.

    Raises:
        InputError: if it is damaged, of another network, or has no EMA weights.
    """
    every = tensor_files.checkpoint(prefix)
    tensors = every.renamed(ddpm.ema_name)
    if not tensors.shapes:
        raise InputError(
            f"{prefix} must have DDPM's EMA weights (.../ExponentialMovingAverage). "
            f"Received: {', '.join(sorted(every.shapes)[:3]) or 'no tensors'}."
        )
    config = ddpm.infer_tensorflow(tensors.shapes, prefix, image_size)
    tensors = tensors.noted("EMA, names that end in /ExponentialMovingAverage")
    kind = "a TensorFlow checkpoint of DDPM"
    return Published(kind, config, DiffusionConfig(), tensors, ddpm.tensorflow_rows)


def h5(path: str) -> Published:
    """Opens an `.h5` file of the Denoising Student's authors.

    Raises:
        InputError: if it is damaged or of another network.
    """
    tensors, layers = h5_file.keras_weights(path)
    config, from_pytorch = denoising_student.infer(tensors.shapes, path)

    def rows(config: UNetConfig) -> list[Row]:
        return denoising_student.rows(config, from_pytorch=from_pytorch)

    # A student was saved as one layer that contains the whole network.
    student = layers == 1
    kind = f"a {'student' if student else 'teacher'} of the Denoising Student (.h5)"
    tensors = tensors.noted("the only ones of the file")
    return Published(kind, config, DiffusionConfig(), tensors, rows, student)
