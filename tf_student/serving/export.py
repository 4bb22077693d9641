"""The command `export`: a network as a version of a model, for TF Serving or others."""

import dataclasses
import os
from collections.abc import Mapping

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.student import Origin, Student
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_directory import RunDirectory
from tf_student.runtime.version import __version__
from tf_student.serving import (
    half_precision,
    portable_export,
    saved_model,
    verification,
    version_writer,
    versions,
    warmup,
    web,
    web_verification,
)
from tf_student.serving.class_signatures import ServedClasses
from tf_student.serving.export_config import ExportConfig
from tf_student.serving.metadata import Metadata
from tf_student.serving.portable_export import PortableFile
from tf_student.serving.signatures import ServedModel
from tf_student.serving.verification import Verification
from tf_student.serving.version_writer import Fill
from tf_student.training import checkpoints


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported version.

    Attributes:
        directory: of the SavedModel; without one, of the version in the first format.
        warm: whether the version has warm-up requests.
        verification: how far the model's images are from the network's; None without
            `ExportConfig.verify`.
        pending: whether a rollout would give the version a label.
        files: the files of other formats, by the name of the format; for `web`, the
            folder of the page.
        verifications: how far their images are from the network's.
    """

    directory: str
    warm: bool
    verification: Verification | None
    pending: bool = False
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    verifications: Mapping[str, Verification] = dataclasses.field(default_factory=dict)


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
        network: a student, a teacher, or the run directory of one.
        directory: of the model; gets a subdirectory for each version.
        config: name, version, formats, dtype and operations of the model.
        sampler: of a teacher; the graph of the model has all of its steps.
        preset: name of the preset, for the metadata and the model's default name.
        thorough: whether `config.verify` also uses `saved_model_cli` and C++.

    Raises:
        InputError: if the network is missing, the version exists already, or a format
            cannot hold the network.
        VerificationError: if the model's images differ from the network's.

    Example:

    >>> exported = export(student, "runs/digits/new_export", preset="digits")
    """
    name = config.name or (preset or "model") + "_teacher" * _is_teacher(network)
    versions.choose_number(directory, config.version, name, config.format)
    _check(network, config)
    loaded = _load(network, config.weights)
    about = _describe(loaded, name, preset, config, sampler)
    portables = _portables(loaded, about, config)
    results: list[Verification] = []
    others: dict[str, Verification] = {}
    fills = _fills(loaded, about, config, portables, others)
    if versions.SAVED_MODEL in config.format:
        model = _serve(loaded, about, sampler)
        # The first that is filled is the last that appears.
        saved = _fill_saved_model(model, about, config, thorough, results)
        fills = {versions.SAVED_MODEL: saved, **fills}
    written = version_writer.write(directory, about, fills, config.version)
    return _result(directory, written, config, results, portables, others)


def _fills(
    network: Teacher | Student,
    about: Metadata,
    config: ExportConfig,
    portables: Mapping[str, PortableFile],
    results: dict[str, Verification],
) -> dict[str, Fill]:
    """What fills the directories of other formats; `results` gets the page's result."""
    fills = {form: file.fill() for form, file in portables.items()}
    if versions.WEB in config.format:
        generate = _whole(network, about).generate

        def check(folder: str) -> None:
            if config.verify:
                result = web_verification.verify(folder, generate, about)
                results[versions.WEB] = result

        fills[versions.WEB] = web.fill(generate, about, check)
    return fills


def _fill_saved_model(
    model: ServedModel,
    about: Metadata,
    config: ExportConfig,
    thorough: bool,
    results: list[Verification],
) -> Fill:
    """A function that writes and verifies a SavedModel; `results` gets the result."""

    def check(version: str) -> None:
        if config.verify:
            results.append(_verify(version, model, about, thorough))

    return saved_model.fill_with(model, about, config.warmup, check)


def _result(
    base: str,
    written: Mapping[str, str],
    config: ExportConfig,
    results: list[Verification],
    portables: Mapping[str, PortableFile],
    others: Mapping[str, Verification],
) -> Exported:
    listed = versions.read_list(base)
    saved = versions.SAVED_MODEL in written
    names = {form: file.name for form, file in portables.items()}
    return Exported(
        next(iter(written.values())),
        saved and config.warmup != "none" and warmup.available(),
        results[0] if results else None,
        saved and listed is not None and listed != listed.rolled_out(),
        {
            form: os.path.join(written[form], names.get(form, "")).rstrip("/")
            for form in config.others
        },
        {**others, **{f: r for p in portables.values() for f, r in p.results.items()}},
    )


def _portables(
    network: Teacher | Student, about: Metadata, config: ExportConfig
) -> dict[str, PortableFile]:
    """The files of the other formats by name."""
    if not config.portable:
        return {}
    model = _whole(network, about)
    return {
        form: PortableFile(
            form, portable_export.layout(about, form, config), model, config.verify, {}
        )
        for form in config.portable
    }


def _whole(network: Teacher | Student, about: Metadata) -> ServedModel:
    """The network in float32, of which other formats store the weights."""
    whole = dataclasses.replace(about, dtype="float32")
    return _serve(network, whole, SamplerConfig())


def _is_teacher(network: Teacher | Student | str) -> bool:
    if not isinstance(network, str):
        return isinstance(network, Teacher)
    run = RunDirectory.open(network)
    if run.network not in ("teacher", "student"):
        raise InputError(
            "`network` must be the run directory of a teacher or a student. Received: "
            f"network={network}, of the command {run.command}."
        )
    return run.network == "teacher"


def _check(network: Teacher | Student | str, config: ExportConfig) -> None:
    if versions.WEB in config.format:
        web.check(teacher=_is_teacher(network))
        if config.verify:
            web_verification.check_installed()
    for form in config.portable:
        portable_export.check(form, config, teacher=_is_teacher(network))
    if config.ops == "fused" and not ops.library_loaded():
        raise InputError(
            "`ops` must be stock where the fused op is not built. Received: ops=fused."
        )
    if config.weights == "last" and not isinstance(network, str):
        raise InputError(
            "`network` must be a run directory with weights=last, because its "
            f"checkpoints have these weights. Received: a {type(network).__name__}."
        )


def _load(network: Teacher | Student | str, weights: str) -> Teacher | Student:
    kind = Teacher if _is_teacher(network) else Student
    loaded = kind.load(network) if isinstance(network, str) else network
    if not isinstance(network, str):
        return network
    if weights == "last":
        checkpoints.last_weights(network, loaded.unet)
    return loaded


def _describe(
    network: Teacher | Student,
    name: str,
    preset: str,
    config: ExportConfig,
    sampler: SamplerConfig,
) -> Metadata:
    calls = network.network_calls(sampler) if isinstance(network, Teacher) else 1
    origin = Origin() if isinstance(network, Teacher) else network.origin
    return Metadata(
        name=name,
        network="teacher" if isinstance(network, Teacher) else "student",
        preset=preset,
        network_calls=calls,
        image_shape=network.image_shape,
        max_count=config.limit(network.image_shape),
        parameters=network.unet.count_params(),
        weights=config.weights,
        dtype=config.dtype,
        ops=config.ops,
        fingerprint=network.unet.fingerprint(),
        teacher=origin.teacher,
        pairs=origin.pairs,
        objective=origin.objective,
        classes=network.classes,
        tf_student=__version__,
        tensorflow=tf.__version__,
    )


def _serve(
    network: Teacher | Student, about: Metadata, sampler: SamplerConfig
) -> ServedModel:
    """The network in the dtype of the model, behind the signatures."""
    network = half_precision.with_dtype(network, about.dtype)
    generate = network.sampler(sampler) if isinstance(network, Teacher) else network
    variables = [variable.value for variable in network.unet.variables]
    parts = (generate, variables, about.image_shape, about.max_count)
    if about.classes:
        return ServedClasses(*parts, about.classes)
    return ServedModel(*parts)


def _verify(
    version: str, model: ServedModel, about: Metadata, thorough: bool
) -> Verification:
    return verification.verify(
        version,
        model.generate,
        about.image_shape,
        classes=about.classes,
        dtype=about.dtype,
        library=ops.library_path() if about.ops == "fused" else None,
        thorough=thorough,
    )
