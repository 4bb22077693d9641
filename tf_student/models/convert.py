"""The command `convert`: published weights into a run, and a run into diffusers'."""

from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers_folder
from tf_student.convert.convert_config import ConvertConfig
from tf_student.models import pretrained, weights_file
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory


def convert_weights(source: str, directory: str, **options: Any) -> Teacher | Student:
    """Writes published weights to `directory`, as a finished teacher or student.

    If the source is a run of this library, the conversion goes the other way:
    `directory` becomes a folder that diffusers' `UNet2DModel.from_pretrained` opens.
    Nothing is written unless all weights have their place.

    Args:
        source: a path, or `hf:owner/name`.
        directory: where to write.
        **options: fields of `UNetConfig` that correct what the source implies.

    Returns:
        The network.

    Raises:
        InputError: if the source cannot be read or does not fit, or if the directory
            belongs to something else.

    Example:

    >>> teacher = convert_weights("hf:google/ddpm-cifar10-32", "runs/cifar10/teacher")
    """
    if RunDirectory.exists(source):
        return _to_diffusers(source, directory)
    published = pretrained.read(source, **options)
    model: Teacher | Student
    if published.is_student:
        network, model = "student", Student(published.unet, published.diffusion)
    else:
        network, model = "teacher", Teacher(published.unet, published.diffusion)
    configs = {
        "unet": model.unet.config,
        "diffusion": model.diffusion,
        "convert": ConvertConfig(source),
    }
    RunDirectory.claim(directory, "convert", configs, network=network)
    weights_file.save(directory, model.unet if network == "teacher" else model)
    return model


def _to_diffusers(source: str, directory: str) -> Teacher | Student:
    if tf.io.gfile.exists(directory) and tf.io.gfile.listdir(directory):
        raise InputError(
            f"`to` must be a new or an empty folder. Received: {directory}."
        )
    kinds = {"student": Student, "teacher": Teacher}
    model = kinds[RunDirectory.open(source).network].load(source)
    variables = model.unet.named_variables()
    diffusers_folder.write(
        directory,
        model.unet.config,
        model.diffusion,
        lambda path: variables[path].numpy(),
    )
    return model
