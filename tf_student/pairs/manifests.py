"""The manifest of a pair set: how the pairs were generated, and their files."""

import dataclasses
import hashlib
import json
import os
from typing import Any

import tensorflow as tf

from tf_student.architecture.unet_config import check_image_shape
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.pairs import shards
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.shards import FIRST_INDEX, Shard
from tf_student.runtime import contents, files
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check_types, from_dict, to_dict
from tf_student.runtime.run_config import RunConfig

MANIFEST = contents.PAIRS
VERSION = 1
# The longest value in a message.
_SHOWN = 200
TRAIN, HELD_OUT = shards.TRAIN, shards.HELD_OUT


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Describes a pair set.

    Attributes:
        teacher: fingerprint of the teacher.
        image_shape: `(height, width, channels)`.
        diffusion: the teacher's forward process.
        sampler: solver and steps of the teacher's sampler.
        pairs: counts, seed and encoding.
        dtype: compute type of the network.
        device_batch: images that a device sampled at once; kernels may round
            differently for another batch.
        noise_sha256: digest of the first noise, with which a reader detects that its
            TensorFlow draws different noise from the same seed; empty if the noise is
            stored.
        shards: all files, in order.
        imported: whether the pairs were imported. The sampler is then what the user
            said, and is not checked.
        classes: number of the teacher's classes, one of which each pair has; 0: none.
    """

    teacher: str
    image_shape: tuple[int, int, int]
    diffusion: DiffusionConfig
    sampler: SamplerConfig
    pairs: PairsConfig
    dtype: str
    device_batch: int
    noise_sha256: str
    shards: tuple[Shard, ...]
    imported: bool = False
    classes: int = 0

    @property
    def complete(self) -> bool:
        """Whether every shard is written."""
        return all(shard.written for shard in self.shards)

    def split(self, name: str) -> tuple[Shard, ...]:
        """The shards of one split."""
        return tuple(shard for shard in self.shards if shard.split == name)


def plan(
    teacher: str,
    image_shape: tuple[int, int, int],
    diffusion: DiffusionConfig,
    sampler: SamplerConfig,
    pairs: PairsConfig,
    run: RunConfig,
    classes: int = 0,
) -> Manifest:
    """Plans a pair set, of which no file exists yet.

    Args:
        teacher: fingerprint of the teacher.
        image_shape: `(height, width, channels)`.
        diffusion: the teacher's forward process.
        sampler: solver and steps of the teacher's sampler.
        pairs: counts, seed and encoding.
        run: compute type and device batch.
        classes: number of the teacher's classes.

    Raises:
        InputError: if PNG does not support the number of channels.
    """
    if pairs.encoding == "png" and image_shape[-1] not in (1, 3, 4):
        raise InputError(
            "`encoding` must be raw, because PNG images have 1, 3 or 4 channels. "
            f"Received: encoding=png, channels={image_shape[-1]}."
        )
    digest = "" if pairs.store_noise else noise_digest(pairs.pairs_seed, image_shape)
    return Manifest(
        teacher=teacher,
        image_shape=image_shape,
        diffusion=diffusion,
        sampler=sampler,
        pairs=pairs,
        dtype=run.dtype,
        device_batch=run.device_batch,
        noise_sha256=digest,
        shards=shards.plan(pairs),
        classes=classes,
    )


def noise_digest(seed: int, image_shape: tuple[int, int, int]) -> str:
    """SHA-256 of the first training noise and the first held-out noise."""
    first = noise.normal(seed, list(FIRST_INDEX.values()), image_shape)
    return hashlib.sha256(first.numpy().tobytes()).hexdigest()


def check_noise(directory: str, manifest: Manifest) -> None:
    """Raises an `InputError` if this TensorFlow draws different noise."""
    if not manifest.noise_sha256:
        return
    digest = noise_digest(manifest.pairs.pairs_seed, manifest.image_shape)
    if digest != manifest.noise_sha256:
        raise InputError(
            f"{directory} was made with noise that this TensorFlow ({tf.__version__}) "
            "draws differently. Use the TensorFlow version that made it."
        )


def check_teacher(
    directory: str, manifest: Manifest, fingerprint: str, diffusion: DiffusionConfig
) -> None:
    """Raises an `InputError` unless that teacher, with its process, made the pairs."""
    if fingerprint != manifest.teacher:
        raise InputError(
            f"{directory} was made by another teacher. Expected: "
            f"{manifest.teacher[:16]}, received: {fingerprint[:16]}."
        )
    # The fingerprint is that of the network, which says nothing of the process.
    if difference := _difference(manifest.diffusion, diffusion):
        raise InputError(f"{directory} was made with another process. {difference}")


def write(directory: str, manifest: Manifest) -> None:
    """Writes `manifest.json` atomically."""
    files.write_json(os.path.join(directory, MANIFEST), _values(manifest))


def fingerprint(manifest: Manifest) -> str:
    """SHA-256 of the manifest, which includes the digests of all files."""
    text = json.dumps(_values(manifest), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _values(manifest: Manifest) -> dict[str, Any]:
    values = {
        "version": VERSION,
        "teacher": manifest.teacher,
        "image_shape": list(manifest.image_shape),
        "diffusion": to_dict(manifest.diffusion),
        "sampler": to_dict(manifest.sampler),
        "pairs": to_dict(manifest.pairs),
        "dtype": manifest.dtype,
        "device_batch": manifest.device_batch,
        "noise_sha256": manifest.noise_sha256,
        "imported": manifest.imported,
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    # Without classes, a manifest is what the versions before wrote.
    return {**values, "classes": manifest.classes} if manifest.classes else values


def read(directory: str) -> Manifest:
    """Reads `manifest.json`.

    Raises:
        InputError: if it is missing or damaged, or another version wrote it.
    """
    path = os.path.join(directory, MANIFEST)
    if not tf.io.gfile.exists(path):
        raise InputError(f"{directory} holds no {MANIFEST}, so it is not a pair set.")
    values = files.read_object(path)
    if values.get("version") != VERSION:
        raise InputError(
            f"{path} has an unsupported version. Expected: {VERSION}, "
            f"received: {values.get('version')}."
        )
    try:
        return _parse(values)
    except (InputError, KeyError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, InputError) else repr(error)
        raise InputError(f"{path} is damaged: {reason}") from error


def _parse(values: dict[str, Any]) -> Manifest:
    """The manifest of JSON values, which anything may have written."""
    computation = {name: values[name] for name in ("dtype", "device_batch")}
    run = from_dict(RunConfig, computation)
    pairs = from_dict(PairsConfig, values["pairs"])
    manifest = Manifest(
        teacher=values["teacher"],
        image_shape=tuple(values["image_shape"]),
        diffusion=from_dict(DiffusionConfig, values["diffusion"]),
        sampler=from_dict(SamplerConfig, values["sampler"]),
        pairs=pairs,
        dtype=run.dtype,
        device_batch=run.device_batch,
        noise_sha256=values["noise_sha256"],
        shards=tuple(shards.parse(values["shards"], shards.plan(pairs))),
        imported=values.get("imported", False),
        classes=values.get("classes", 0),
    )
    check_types(manifest)
    check_image_shape(manifest.image_shape)
    return manifest


def differences(old: Manifest, new: Manifest) -> str:
    """Describes the first difference of two pair sets, for an error message.

    Returns:
        A sentence; empty if the manifests agree in everything but the state of shards.
    """
    names = ("teacher", "image_shape", "dtype", "device_batch", "imported")
    for name in (*names, "classes", "noise_sha256"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            return f"Expected: {name}={before!r}, received: {after!r}."
    for name in ("diffusion", "sampler", "pairs"):
        if difference := _difference(getattr(old, name), getattr(new, name)):
            return difference
    return ""


def _difference(old: Any, new: Any) -> str:
    """Describes the first field in which two configs differ; empty if there is none."""
    for field in dataclasses.fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            shown = (repr(value)[:_SHOWN] for value in (before, after))
            return "Expected: {}={}, received: {}.".format(field.name, *shown)
    return ""
