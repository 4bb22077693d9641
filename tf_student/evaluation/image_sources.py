"""Where images to measure come from: generators, and sets that are there already."""

import dataclasses
import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from tf_student.data import datasets, streams
from tf_student.data.data_config import DataConfig
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.evaluation import statistics
from tf_student.evaluation.statistics import Statistics
from tf_student.models.generator import Generator
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.serving import metadata, versions

_BATCH = 256
# Beyond every range of seeds that is measured by itself.
_SAME_NOISE = noise.EVALUATION + 2**39


@dataclasses.dataclass(frozen=True)
class Source:
    """Images, in a fixed order.

    Attributes:
        name: for reports.
        read: from (first, count) to batches of those images, uint8
            `[n, height, width, channels]`.
        shape: of an image; None for statistics.
        count: how many there are; None for a generator, which has no end.
        preparation: how they came to their size.
        generate: from float32 noise `[n, *shape]` to images, for a generator.
        batch: images that it makes at once.
        calls: network calls for an image; 0 where unknown.
        statistics: of features, in place of images.
    """

    name: str
    read: Callable[[int, int], Iterator[np.ndarray]]
    shape: tuple[int, int, int] | None
    count: int | None = None
    preparation: str = "as they are"
    generate: Callable[[np.ndarray], np.ndarray] | None = None
    batch: int = _BATCH
    calls: int = 0
    statistics: Statistics | None = None


@dataclasses.dataclass(frozen=True)
class SameNoise:
    """Images of the same noise by two generators.

    Attributes:
        names: of the generators.
        images: of them, uint8 `[n, height, width, channels]`.
    """

    names: tuple[str, str]
    images: tuple[np.ndarray, np.ndarray]


def from_generator(name: str, generator: Generator, calls: int) -> Source:
    """Images of noise that no network was trained on."""

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        for start in range(first, first + count, generator.batch):
            size = min(generator.batch, first + count - start)
            yield generator.from_seed(0, noise.EVALUATION + start, size)

    return Source(
        name, read, generator.shape, None, "", generator, generator.batch, calls
    )


def from_images(image_set: datasets.ImageSet, maximum: int = 0) -> Source:
    """Real images, or the first `maximum` of them."""

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        chosen = image_set.images().skip(first).take(count).batch(_BATCH)
        with streams.diagnosed(image_set.diagnose):
            yield from chosen.prefetch(1).as_numpy_iterator()

    count = min(image_set.count, maximum or image_set.count)
    return Source(image_set.name, read, image_set.shape, count, image_set.preparation)


def from_statistics(found: Statistics) -> Source:
    """Statistics of images that are not there."""
    return Source(
        found.name,
        lambda first, count: iter(()),
        None,
        found.n,
        "unknown",
        statistics=found,
    )


def same_noise(a: Source, b: Source, count: int) -> SameNoise:
    """Images of the same noise by two generators."""
    z = noise.normal(0, _SAME_NOISE + np.arange(count), a.shape).numpy()
    return SameNoise((a.name, b.name), (a.generate(z), b.generate(z)))


def open_source(
    spec: str,
    strategy: tf.distribute.Strategy,
    sampler: SamplerConfig,
    run: RunConfig,
    *,
    option: str,
    data_dir: str = "",
    shape: tuple[int, int, int] | None = None,
) -> Source:
    """Recognises what a path or a name stands for.

    Args:
        spec: a SavedModel with the signature `serving_default` from noise to images, a
            directory of ours with a teacher or a student, a folder of images, an .npz
            of images or of statistics, `digits` or a TFDS name.
        strategy: makes the images of a checkpoint.
        sampler: of a teacher.
        run: how the machine is used.
        option: the option's name, for messages.
        data_dir: of TFDS.
        shape: to which images of TFDS are brought; None leaves them.

    Raises:
        InputError: if it is nothing of this.
    """
    model = versions.newest(spec)
    if model:
        return _from_saved_model(model, run)
    if RunDirectory.exists(spec):
        return _from_run(spec, strategy, sampler, run)
    name, split = _split_name(spec)
    if name.endswith(".npz") and statistics.has_statistics(name):
        return from_statistics(statistics.load(name))
    is_tfds = not name.endswith(".npz") and not tf.io.gfile.isdir(name)
    if is_tfds and os.sep in name and os.path.isabs(name):
        raise InputError(f"`{option}` must exist. Received: {option}={spec}.")
    data = DataConfig(name, split or "train", data_dir)
    return from_images(datasets.load(data, shape if is_tfds else None))


def _split_name(spec: str) -> tuple[str, str]:
    """`cifar10:test` as a name and a split; a path may have colons of its own."""
    name, colon, split = spec.rpartition(":")
    if not colon or "/" in split or tf.io.gfile.exists(spec):
        return spec, ""
    return name, split


def _from_run(directory, strategy, sampler, run) -> Source:
    name = os.path.normpath(directory)
    if RunDirectory.open(directory).network == "student":
        generator = Student.load(directory).generator(strategy, run)
        return from_generator(name, generator, 1)
    teacher = Teacher.load(directory)
    generator = teacher.generator(strategy, sampler, run)
    return from_generator(name, generator, teacher.network_calls(sampler))


def _from_saved_model(path: str, run: RunConfig) -> Source:
    model = tf.saved_model.load(path)
    signature = model.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if len(inputs) != 1 or len(signature.structured_outputs) != 1:
        raise InputError(
            f"{path} must have the signature serving_default with one input, noise, "
            f"and one output, images. Received: {', '.join(inputs) or 'none'}."
        )
    (name, spec), (output, images) = (
        next(iter(part.items())) for part in (inputs, signature.structured_outputs)
    )
    _check_signature(path, spec, images)
    shape = tuple(spec.shape[1:])

    batch = run.device_batch
    if metadata.is_there(path):
        # An export refuses more.
        batch = min(batch, metadata.read(path).max_count)

    def generate(z: np.ndarray) -> np.ndarray:
        # The signature's function dies with its model.
        assert model is not None
        parts = (tf.constant(z[i : i + batch]) for i in range(0, len(z), batch))
        return np.concatenate([signature(**{name: p})[output].numpy() for p in parts])

    def read(first: int, count: int) -> Iterator[np.ndarray]:
        for start in range(first, first + count, batch):
            size = min(batch, first + count - start)
            indices = tf.range(start, start + size, 1, tf.int64) + noise.EVALUATION
            yield generate(noise.normal(0, indices, shape).numpy())

    return Source(os.path.normpath(path), read, shape, None, "", generate, batch)


def _check_signature(path: str, spec: tf.TensorSpec, images: tf.TensorSpec) -> None:
    if spec.dtype != tf.float32 or spec.shape.rank != 4 or None in spec.shape[1:]:
        raise InputError(
            f"{path} must take float32 noise [n, height, width, channels]. "
            f"Received: {spec.dtype.name} {spec.shape}."
        )
    if images.dtype != tf.uint8:
        raise InputError(
            f"{path} must give uint8 images, rounded before they are measured. "
            f"Received: {images.dtype.name}."
        )
