"""The models that the page shows."""

import dataclasses
import time
from collections.abc import Callable

import tensorflow as tf

from tf_student.runtime import paths
from tf_student.runtime.errors import InputError, first_line
from tf_student.serving import metadata, versions
from tf_student.serving.class_signatures import ANY
from tf_student.serving.signatures import LABELS

_SIGNATURES = ("interpolate", "sample")


@dataclasses.dataclass(frozen=True)
class TimedImages:
    """Images of a model, and the time that it took.

    Attributes:
        pngs: PNG files.
        seconds: time of the model, without the encoding of the PNGs.
    """

    pngs: list[bytes]
    seconds: float


def find(directory: str) -> str:
    """Returns the path of the SavedModel in a directory, or of its newest version.

    Raises:
        InputError: if the directory has none.
    """
    path = versions.newest(directory)
    if path is None:
        raise InputError(
            f"{directory} has no SavedModel; `tf-student export` writes one."
        )
    return path


class ExportedModel:
    """The newest version of a model that `tf-student export` wrote.

    Loading draws two images as a warm-up.

    Args:
        directory: a SavedModel, or a directory of numbered versions.

    Attributes:
        shape: `(height, width, channels)` of an image.
        limit: largest number of images in a call, from the metadata; None without
            metadata.
        classes: number of classes, from the metadata.

    Raises:
        InputError: if the directory has no SavedModel, the model lacks a signature, or
            the metadata are damaged.

    Example:

    >>> model = ExportedModel("runs/digits/export")
    >>> len(model.sample(seed=7, count=4).pngs)
    4
    """

    def __init__(self, directory: str):
        path = find(directory)
        paths.check_restorable(path)
        about = metadata.read(path) if metadata.exists(path) else None
        self.limit = about.max_count if about else None
        self.classes = about.classes if about else 0
        try:
            # The signatures do not keep the variables alive; this reference does.
            self._loaded = tf.saved_model.load(path)
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            reason = first_line(error)
            raise InputError(f"{path} cannot be loaded: {reason}") from error
        signatures = self._loaded.signatures
        missing = [name for name in _SIGNATURES if name not in signatures]
        if missing:
            raise InputError(
                f"{path} must have the signatures {' and '.join(_SIGNATURES)}. "
                f"Received: {', '.join(sorted(signatures)) or 'none'}."
            )
        self._sample = signatures["sample"]
        self._interpolate = signatures["interpolate"]
        self.shape = self._warm_up(path)

    def _warm_up(self, path: str) -> tuple[int, int, int]:
        """Calls both signatures, and returns the shape of an image."""
        try:
            images = self._sample(**self._seeded(0, 2, ANY))["images"]
            self._interpolate(**self._walk(0, 1, 2, ANY))
        except (KeyError, TypeError, tf.errors.OpError) as error:
            reason = _reason(str(error))
            raise InputError(f"{path} cannot draw a seed: {reason}") from error
        shape = images.shape
        if images.dtype != tf.uint8 or shape.rank != 4 or not 1 <= shape[3] <= 4:
            raise InputError(
                f"{path} must draw uint8 images [n, height, width, channels] of 1 to 4 "
                f"channels. Received: {images.dtype.name} {shape}."
            )
        return tuple(shape[1:])

    def sample(self, seed: int, count: int, label: int = ANY) -> TimedImages:
        """Draws `count` images of a seed.

        Args:
            seed: of the noise.
            count: number of images.
            label: their class; -1, or a model without classes: any.

        Raises:
            InputError: if the model refuses the seed, the count or the label.
        """
        return self._draw(lambda: self._sample(**self._seeded(seed, count, label)))

    def interpolate(
        self, seed_a: int, seed_b: int, steps: int, label: int = ANY
    ) -> TimedImages:
        """Draws an interpolation between the first images of two seeds.

        Args:
            seed_a: seed of the first image.
            seed_b: seed of the last image.
            steps: number of images, both ends included.
            label: their class; -1: that of the first image.

        Raises:
            InputError: if the model refuses a seed, the number of steps or the label.
        """
        walk = self._walk(seed_a, seed_b, steps, label)
        return self._draw(lambda: self._interpolate(**walk))

    def _seeded(self, seed: int, count: int, label: int) -> dict[str, tf.Tensor]:
        """The inputs of the signature `sample`."""
        if self.classes:
            return {"seed": _int64(seed), LABELS: tf.fill([count], _int32(label))}
        return {"seed": _int64(seed), "count": _int32(count)}

    def _walk(
        self, seed_a: int, seed_b: int, steps: int, label: int
    ) -> dict[str, tf.Tensor]:
        """The inputs of the signature `interpolate`."""
        ends = {"seed_a": _int64(seed_a), "seed_b": _int64(seed_b)}
        chosen = {"label": _int32(label)} if self.classes else {}
        return {**ends, "steps": _int32(steps), **chosen}

    def _draw(self, call: Callable[[], dict[str, tf.Tensor]]) -> TimedImages:
        begun = time.perf_counter()
        try:
            images = call()["images"].numpy()
        except tf.errors.InvalidArgumentError as error:
            # The model checks its inputs too, and its message names them.
            raise InputError(_reason(error.message)) from error
        seconds = time.perf_counter() - begun
        pngs = [tf.io.encode_png(image).numpy() for image in images]
        return TimedImages(pngs, seconds)


def _reason(message: str) -> str:
    """The message of the model's own check, without TensorFlow's other lines."""
    lines = [line.strip() for line in message.splitlines()]
    assertions = [line for line in lines if line.startswith("assertion failed: ")]
    return (assertions or lines)[0]


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _int32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int32)
