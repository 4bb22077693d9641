"""The command `convert`: reads published weights, and writes diffusers' format."""

from typing import Any

import tensorflow as tf

from tf_student.convert import diffusers_folder, hub
from tf_student.convert.convert_config import ConvertConfig
from tf_student.models import pretrained, publish, weights_file
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
    source: str, directory: str, *, weights: str = "", license: str = "", **options: Any
) -> Teacher | Student:
    """Converts published weights to a run of a finished teacher or student.

    The run directory of a teacher or a student is converted in the other direction, to
    a folder for diffusers' `UNet2DModel`, or to a repository on the Hugging Face Hub
    with a model card. Nothing is written if the weights do not fit.

    Args:
        source: `hf:owner/name` on the Hugging Face Hub, a folder of diffusers, a
            TensorFlow checkpoint of DDPM, a PyTorch checkpoint, an `.h5` file of the
            Denoising Student, or a run directory.
        directory: where to write; `hf:owner/name` uploads a run.
        weights: which of several networks in the source: a key, a folder such as
            `unet`, or a variant such as `fp16`. By default the EMA weights.
        license: of the weights, for the model card, such as `cc-by-4.0`.
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
    if license and not directory.startswith(hub.PREFIX):
        raise InputError(
            "`license` needs a directory hf:owner/name, whose model card has it. "
            f"Received: license={license}."
        )
    if weights:
        options["weights"] = weights
    if RunDirectory.exists(source):
        return _from_run(source, directory, license, options)
    return _from_published(source, directory, options)


def _from_run(
    source: str, directory: str, license: str, options: dict[str, Any]
) -> Teacher | Student:
    if options:
        raise InputError(
            "Options of the network need published weights. Received: "
            f"{', '.join(options)} for the run {source}."
        )
    if directory.startswith(hub.PREFIX):
        return _to_hub(source, directory, license)
    return _to_diffusers(source, directory)


def _from_published(
    source: str, directory: str, options: dict[str, Any]
) -> Teacher | Student:
    if directory.startswith(hub.PREFIX):
        raise InputError(
            "`source` must be a run directory to upload it. Received: "
            f"source={source}, directory={directory}."
        )
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


def _to_hub(source: str, target: str, license: str) -> Teacher | Student:
    hub.repository(target)
    model = _KINDS[RunDirectory.open(source).network].load(source)
    publish.publish(source, model, target, licence=license)
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
