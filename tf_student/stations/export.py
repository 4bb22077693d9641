"""Station 6: a model for TF Serving."""

import dataclasses
import os
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_student import (
    __version__,
    files,
    model_directory,
    run_directory,
    schedules,
)
from tf_student.config import DiffusionConfig, SamplerConfig
from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.errors import InputError
from tf_student.options import from_dict
from tf_student.pairs import records
from tf_student.serving import export as serving
from tf_student.serving import metadata, verification, versions, warmup
from tf_student.serving.config import ExportConfig
from tf_student.serving.signatures import ServedModel
from tf_student.student import Student
from tf_student.training import checkpoints
from tf_student.training.teacher import make_sampler
from tf_student.unet import UNet


@dataclasses.dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        directory: of the version.
        warm: whether it has warm-up requests.
        verification: what comparing it found, if it was compared.
    """

    directory: str
    warm: bool
    verification: verification.Verification | None


@dataclasses.dataclass(frozen=True)
class _Network:
    """A finished network on its way out."""

    model: keras.Model
    generate: Callable[[tf.Tensor], tf.Tensor]
    unet: UNet
    calls: int
    fingerprint: str


def export(
    base: str,
    network_directory: str,
    preset: str,
    config: ExportConfig = ExportConfig(),
    sampler: SamplerConfig = SamplerConfig(),
    *,
    thorough: bool = True,
) -> Exported:
    """Exports a finished network as a version of the model in `base`.

    Args:
        base: the model's directory; the version is a folder in it.
        network_directory: of the student or the teacher.
        preset: what the metadata names as the system.
        config: what the model is.
        sampler: that a teacher brings.
        thorough: whether `config.verify` is more than one loader in Python.

    Raises:
        InputError: if there is no such network, or the version exists.
        VerificationError: if the model was compared and is something else.
    """
    name = config.name or preset + ("_teacher" if config.what == "teacher" else "")
    versions.choose(base, config.version, name)
    if config.ops == "fused" and not ops.library_loaded():
        raise InputError(
            "`ops` must be stock where the fused op was not built. Received: ops=fused."
        )
    network = _open(network_directory, config, sampler)
    about = _describe(name, preset, config, network, network_directory)
    model = ServedModel(
        network.generate,
        [variable.value for variable in network.model.variables],
        about.image_shape,
        about.max_count,
    )
    found = []

    def check(directory: str) -> None:
        if config.verify:
            found.append(_compare(directory, network, config, thorough))

    directory = serving.export(
        base, model, about, version=config.version, warm=config.warmup, check=check
    )
    warm = config.warmup != "none" and warmup.available()
    return Exported(directory, warm, found[0] if found else None)


def _compare(
    directory: str, network: _Network, config: ExportConfig, thorough: bool
) -> verification.Verification:
    return verification.verify(
        directory,
        network.generate,
        network.unet.config.image_shape,
        dtype=config.dtype,
        library=ops.library_path() if config.ops == "fused" else None,
        thorough=thorough,
    )


def _open(directory: str, config: ExportConfig, sampler: SamplerConfig) -> _Network:
    diffusion = run_directory.read_config(directory, "diffusion", DiffusionConfig)
    one = config.what == "student"
    load = model_directory.load_student if one else model_directory.load_teacher
    model = load(directory)
    if config.weights == "last":
        checkpoints.last_weights(directory, model)
    fingerprint = model_directory.fingerprint(model.unet if one else model)
    if config.dtype != "float32":
        model = _in_half(model, config.dtype)
    if one:
        return _Network(model, model, model.unet, 1, fingerprint)
    generate = make_sampler(model, diffusion, sampler)
    calls = len(schedules.sampling_timesteps(sampler, diffusion))
    return _Network(model, generate, model, calls, fingerprint)


def _in_half(model: keras.Model, dtype: str) -> keras.Model:
    """The network with weights of two bytes; those of the norms stay float32.

    It computes what a mixed policy would, which rounds the same weights at every call.
    """
    one = isinstance(model, Student)
    twin = UNet((model.unet if one else model).config, dtype=dtype)
    if one:
        twin = Student(twin, model.timesteps, dtype=dtype)
    for half, weight in zip(twin.variables, model.variables, strict=True):
        half.assign(weight.value)
    return twin


def _describe(name, preset, config, network, directory) -> metadata.Metadata:
    run = files.read_json(os.path.join(directory, run_directory.CONFIG))
    # Converted weights do not say what they learned from.
    origin = from_dict(records.Origin, run.get("origin", {}))
    shape = network.unet.config.image_shape
    return metadata.Metadata(
        name=name,
        network=config.what,
        preset=preset,
        network_calls=network.calls,
        image_shape=shape,
        max_count=config.limit(shape),
        parameters=network.model.count_params(),
        weights=config.weights,
        dtype=config.dtype,
        ops=config.ops,
        fingerprint=network.fingerprint,
        teacher=origin.teacher,
        pairs=origin.pairs,
        tf_student=__version__,
        tensorflow=tf.__version__,
    )
