"""The SavedModels behind the page."""

import dataclasses
import time
from collections.abc import Callable

import tensorflow as tf

from tf_student.runtime.errors import InputError, first_line
from tf_student.serving import metadata, versions

_SIGNATURES = ("interpolate", "sample")


@dataclasses.dataclass(frozen=True)
class Drawn:
    """PNG files, and the seconds that the model took for their pixels."""

    pngs: list[bytes]
    seconds: float


class Model:
    """An export of `tf-student export`.

    Attributes:
        shape: `(height, width, channels)` of its images.
        limit: images of one call at most, as its metadata say; None if it has none.
    """

    def __init__(self, directory: str):
        """Loads the newest version and draws two images, as a warm-up.

        Args:
            directory: a SavedModel, or a directory of numbered ones.

        Raises:
            InputError: if there is none, it lacks a signature, or its metadata are
                damaged.
        """
        path = versions.newest(directory)
        if path is None:
            raise InputError(
                f"{directory} holds no SavedModel; tf-student export writes one."
            )
        about = metadata.read(path) if metadata.is_there(path) else None
        self.limit = about.max_count if about else None
        try:
            # Its variables live as long as this reference.
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
        self._sample, self._interpolate = (
            signatures["sample"],
            signatures["interpolate"],
        )
        self.shape = self._warm_up(path)

    def _warm_up(self, path: str) -> tuple[int, int, int]:
        try:
            images = self._sample(seed=_int64(0), count=_int32(2))["images"]
            self._interpolate(seed_a=_int64(0), seed_b=_int64(1), steps=_int32(2))
        except (KeyError, TypeError, tf.errors.OpError) as error:
            reason = _reason(str(error))
            raise InputError(f"{path} does not draw a seed: {reason}") from error
        shape = images.shape
        if images.dtype != tf.uint8 or shape.rank != 4 or not 1 <= shape[3] <= 4:
            raise InputError(
                f"{path} must draw uint8 [n, height, width, 1 to 4]. Received: "
                f"{images.dtype.name} {shape}."
            )
        return tuple(shape[1:])

    def sample(self, seed: int, count: int) -> Drawn:
        """Draws `count` images of a seed."""
        return self._draw(lambda: self._sample(seed=_int64(seed), count=_int32(count)))

    def interpolate(self, seed_a: int, seed_b: int, steps: int) -> Drawn:
        """Draws a walk of `steps` images from one seed's first image to another's."""
        return self._draw(
            lambda: self._interpolate(
                seed_a=_int64(seed_a), seed_b=_int64(seed_b), steps=_int32(steps)
            )
        )

    def _draw(self, call: Callable[[], dict[str, tf.Tensor]]) -> Drawn:
        begun = time.perf_counter()
        try:
            images = call()["images"].numpy()
        except tf.errors.InvalidArgumentError as error:
            # An export has limits of its own, and names them.
            raise InputError(_reason(error.message)) from error
        seconds = time.perf_counter() - begun
        return Drawn([tf.io.encode_png(image).numpy() for image in images], seconds)


def _reason(message: str) -> str:
    """What a model's own check said, out of all that TensorFlow says around it."""
    lines = [line.strip() for line in message.splitlines()]
    said = [line for line in lines if line.startswith("assertion failed: ")]
    return (said or lines)[0]


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _int32(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int32)
