"""The command `convert`: reads published weights, and writes diffusers' format."""

from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers_folder
from tf_student.convert.convert_config import ConvertConfig
from tf_student.models import pretrained, weights_file
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.runtime import paths
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory

_KINDS: dict[str, type[Teacher] | type[Student]] = {
    "teacher": Teacher,
    "student": Student,
}


def convert_weights(
    source: str, directory: str, *, weights: str = "", **options: Any
) -> Teacher | Student:
    """Converts published weights to a run of a finished teacher or student.

    The run directory of a teacher or a student is converted in the other direction, to
    a folder for diffusers' `UNet2DModel`. Nothing is written if the weights do not fit.

    Args:
        source: `hf:owner/name` on the Hugging Face Hub, a folder of diffusers, a
            TensorFlow checkpoint of DDPM, a PyTorch checkpoint, an `.h5` file of the
            Denoising Student, or a run directory.
        directory: where to write.
        weights: which of several networks in the source: a key, a folder such as
            `unet`, or a variant such as `fp16`. By default the EMA weights.
        **options: fields of `UNetConfig` and `DiffusionConfig` that replace what the
            source implies, such as `image_size`. A run directory stores all of them and
            takes none.

    Returns:
        The network: a `Teacher` or a `Student`.

    Raises:
        InputError: if the source cannot be read or does not fit the network, or if the
            directory belongs to another run.

    Example:

    >>> convert_weights("runs/digits/student", "runs/digits/diffusers").image_shape
    (8, 8, 1)
    >>> teacher = convert_weights(  # doctest: +SKIP
    ...     "hf:google/ddpm-cifar10-32", "runs/cifar10/teacher")
    """
    if RunDirectory.exists(source):
        if options or weights:
            names = [*options, *(["weights"] if weights else [])]
            raise InputError(
                "Options of the network need published weights. Received: "
                f"{', '.join(names)} for the run {source}."
            )
        return _to_diffusers(source, directory)
    if weights:
        options["weights"] = weights
    return _from_published(source, directory, options)


def _from_published(
    source: str, directory: str, options: dict[str, Any]
) -> Teacher | Student:
    published = pretrained.read(source, **options)
    network = "student" if published.is_student else "teacher"
    model = _KINDS[network](published.unet, published.diffusion)
    configs = {
        "unet": model.unet.config,
        "diffusion": model.diffusion,
        "convert": ConvertConfig(source, options.get("weights", "")),
    }
    weights_file.save(
        directory,
        model.unet if network == "teacher" else model,
        claim=lambda: RunDirectory.claim(
            directory, "convert", configs, network=network
        ),
    )
    return model


def _to_diffusers(source: str, directory: str) -> Teacher | Student:
    if tf.io.gfile.exists(directory) and (
        not tf.io.gfile.isdir(directory) or paths.listdir(directory)
    ):
        raise InputError(f"`directory` must be new or empty. Received: {directory}.")
    model = _KINDS[RunDirectory.open(source).network].load(source)
    variables = model.unet.named_variables()
    diffusers_folder.write(
        directory,
        model.unet.config,
        model.diffusion,
        lambda path: variables[path].numpy(),
    )
    return model
