"""A finished network on disk: `model.keras` beside the run's `config.json`."""

import hashlib
import json
import os
import shutil
import tempfile

import keras
import tensorflow as tf

from tf_student import files
from tf_student.config import DiffusionConfig, UNetConfig
from tf_student.errors import InputError, first_line
from tf_student.options import to_dict
from tf_student.run_directory import read_config
from tf_student.student import Student
from tf_student.unet import UNet

MODEL = "model.keras"


def save(directory: str, model: keras.Model) -> None:
    """Writes `model.keras`, replacing an older one only when the new one is whole."""
    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, MODEL)
        model.save(local)
        with files.replacing(os.path.join(directory, MODEL)) as temporary:
            _copy(local, temporary)


def load_teacher(directory: str, dtype: str = "float32") -> UNet:
    """The teacher of a run, computing under the Keras policy `dtype`.

    Raises:
        InputError: if the run is not there, not finished or damaged.
    """
    model = UNet(read_config(directory, "unet", UNetConfig), dtype=dtype)
    _load_weights(directory, model)
    return model


def load_student(directory: str, dtype: str = "float32") -> Student:
    """The student of a run, computing under the Keras policy `dtype`.

    Raises:
        InputError: if the run is not there, not finished or damaged.
    """
    unet = UNet(read_config(directory, "unet", UNetConfig), dtype=dtype)
    diffusion = read_config(directory, "diffusion", DiffusionConfig)
    model = Student(unet, diffusion.timesteps, dtype=dtype)
    _load_weights(directory, model)
    return model


def fingerprint(model: UNet) -> str:
    """SHA-256 over architecture and weights: the same for equal networks anywhere."""
    digest = hashlib.sha256(json.dumps(to_dict(model.config), sort_keys=True).encode())
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _load_weights(directory: str, model: keras.Model) -> None:
    path = os.path.join(directory, MODEL)
    if not tf.io.gfile.exists(path):
        raise InputError(f"{directory} holds no {MODEL}; is its training finished?")
    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, MODEL)
        _copy(path, local)
        try:
            model.load_weights(local)
        # Keras wraps zip, HDF5 and shape errors in many types.
        except Exception as error:
            reason = first_line(error)
            raise InputError(f"{path} cannot be loaded: {reason}") from error


def _copy(source: str, target: str) -> None:
    with tf.io.gfile.GFile(source, "rb") as old, tf.io.gfile.GFile(target, "wb") as new:
        shutil.copyfileobj(old, new)
