"""The command `export`: a network as a versioned model for TF Serving."""

import dataclasses

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory
from tf_student.runtime.version import __version__
from tf_student.serving import (
    half_precision,
    metadata,
    saved_model,
    verification,
    versions,
    warmup,
)
from tf_student.serving.export_config import ExportConfig
from tf_student.serving.signatures import ServedModel
from tf_student.training import checkpoints


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported version.

    Attributes:
        directory: of the version.
        warm: whether it has warm-up requests.
        verification: the result of comparing it with the network, if it was compared.
    """

    directory: str
    warm: bool
    verification: verification.Verification | None


def export(
    network: Teacher | Student | str,
    directory: str,
    *,
    config: ExportConfig = ExportConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    preset: str = "",
    thorough: bool = True,
) -> Exported:
    """Exports a finished network as a version of the model in `directory`.

    Args:
        network: a student, a teacher, or the directory of a run.
        directory: of the model; the version is a folder in it.
        config: name, version, dtype and operations of the model.
        sampler: of a teacher; the whole sampler is in the graph.
        preset: the system's name, for the metadata and as the default of the name.
        thorough: whether `config.verify` means more than one loader in Python.

    Raises:
        InputError: if there is no such network, or the version exists.
        VerificationError: if the model was compared and differs from the network.

    Example:

    >>> exported = export(student, "runs/digits/export", preset="digits")
    """
    kind = _kind(network)
    name = config.name or (preset or "model") + "_teacher" * (kind == "teacher")
    versions.choose(directory, config.version, name)
    if config.ops == "fused" and not ops.library_loaded():
        raise InputError(
            "`ops` must be stock where the fused op was not built. Received: ops=fused."
        )
    network = _open(network, config)
    about = _describe(network, name, preset, config, sampler)
    if config.dtype != "float32":
        network = half_precision.halve(network, config.dtype)
    generate = network if isinstance(network, Student) else network.sampler(sampler)
    model = ServedModel(
        generate,
        [variable.value for variable in network.unet.variables],
        network.image_shape,
        about.max_count,
    )
    result = []

    def check(version: str) -> None:
        if config.verify:
            result.append(_verify(version, generate, about, thorough))

    version = saved_model.write(
        directory,
        model,
        about,
        version=config.version,
        warm=config.warmup,
        check=check,
    )
    warm = config.warmup != "none" and warmup.available()
    return Exported(version, warm, result[0] if result else None)


def _kind(network: Teacher | Student | str) -> str:
    if isinstance(network, str):
        return RunDirectory.open(network).network
    return "student" if isinstance(network, Student) else "teacher"


def _open(network: Teacher | Student | str, config: ExportConfig) -> Teacher | Student:
    """The network with the weights that the config selects."""
    if not isinstance(network, str):
        if config.weights == "last":
            raise InputError(
                "`network` must be a run's directory with weights=last, which are in "
                f"its checkpoints. Received: {type(network).__name__}."
            )
        return network
    directory, kind = network, _kind(network)
    network = Student.load(directory) if kind == "student" else Teacher.load(directory)
    if config.weights == "last":
        checkpoints.last_weights(directory, network.unet)
    return network


def _verify(
    version: str, generate, about: metadata.Metadata, thorough: bool
) -> verification.Verification:
    return verification.verify(
        version,
        generate,
        about.image_shape,
        dtype=about.dtype,
        library=ops.library_path() if about.ops == "fused" else None,
        thorough=thorough,
    )


def _describe(
    network: Teacher | Student,
    name: str,
    preset: str,
    config: ExportConfig,
    sampler: SamplerConfig,
) -> metadata.Metadata:
    is_student = isinstance(network, Student)
    return metadata.Metadata(
        name=name,
        network="student" if is_student else "teacher",
        preset=preset,
        network_calls=1 if is_student else network.network_calls(sampler),
        image_shape=network.image_shape,
        max_count=config.limit(network.image_shape),
        parameters=network.unet.count_params(),
        weights=config.weights,
        dtype=config.dtype,
        ops=config.ops,
        fingerprint=network.unet.fingerprint(),
        teacher=network.origin.teacher if is_student else "",
        pairs=network.origin.pairs if is_student else "",
        tf_student=__version__,
        tensorflow=tf.__version__,
    )
