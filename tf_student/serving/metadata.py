"""What a model says about itself: `assets.extra/metadata.json`."""

import dataclasses
import os

import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError

# Where a SavedModel keeps what TensorFlow does not read.
EXTRA = "assets.extra"
_FILE = "metadata.json"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Where a model comes from; a fingerprint is empty where it is not known.

    Attributes:
        name: of the model, as clients ask for it.
        network: `student` or `teacher`.
        preset: the system that it was exported as.
        network_calls: that an image takes.
        image_shape: `[height, width, channels]`.
        max_count: images of one request at most.
        parameters: of the network.
        weights: `ema`, or `last` for those of the last checkpoint.
        dtype: what the network computes in.
        ops: `stock`, or `fused` where a server needs the fused op.
        fingerprint: SHA-256 of the architecture and the float32 weights.
        teacher: fingerprint of the teacher that the student learned from.
        pairs: fingerprint of the pairs that it learned from.
        tf_student: version that wrote the model.
        tensorflow: version that wrote the model.
    """

    name: str
    network: str
    preset: str
    network_calls: int
    image_shape: tuple[int, int, int]
    max_count: int
    parameters: int
    weights: str
    dtype: str
    ops: str
    fingerprint: str
    teacher: str
    pairs: str
    tf_student: str
    tensorflow: str


def write(directory: str, metadata: Metadata) -> None:
    """Writes it into a SavedModel's directory."""
    folder = os.path.join(directory, EXTRA)
    tf.io.gfile.makedirs(folder)
    files.write_json(os.path.join(folder, _FILE), dataclasses.asdict(metadata))


def is_there(directory: str) -> bool:
    """Whether a SavedModel says something about itself."""
    return tf.io.gfile.exists(os.path.join(directory, EXTRA, _FILE))


def read(directory: str) -> Metadata:
    """Reads it from a SavedModel's directory.

    Raises:
        InputError: if there is none, or another version wrote it.
    """
    path = os.path.join(directory, EXTRA, _FILE)
    if not is_there(directory):
        raise InputError(f"{directory} holds no {EXTRA}/{_FILE}; is it an export?")
    values = files.read_json(path)
    try:
        shape = tuple(values.pop("image_shape"))
        return Metadata(**values, image_shape=shape)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error!r}.") from error
