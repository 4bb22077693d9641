"""`assets.extra/metadata.json`: the description that an exported model carries."""

import dataclasses
import os

import tensorflow as tf

from tf_student.architecture.unet_config import check_image_shape
from tf_student.runtime import files
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check_types, refuse

# The directory of a SavedModel for files that TensorFlow does not read.
EXTRA = "assets.extra"
_FILE = "metadata.json"


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The origin and the properties of an exported model.

    Attributes:
        name: the name by which clients request the model.
        network: `student` or `teacher`.
        preset: the preset that it was exported with.
        network_calls: network calls for an image.
        image_shape: `(height, width, channels)`.
        max_count: largest number of images in a request.
        parameters: number of the network's parameters.
        weights: `ema` for the EMA weights, or `last` for those of the last checkpoint.
        dtype: the dtype in which the network computes.
        ops: `stock`, or `fused` where a server needs the fused op.
        fingerprint: SHA-256 of the architecture and the float32 weights.
        teacher: fingerprint of the teacher that the student was distilled from; empty
            if it is unknown.
        pairs: fingerprint of the pairs that it was trained on; empty if it is unknown.
        classes: number of classes, from which a request chooses; 0: none.
        objective: of the distribution matching that followed: `sid`, `dmd`, or empty.
        tf_student: version of this library that wrote the model.
        tensorflow: version of TensorFlow that wrote the model.
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
    # Version 0.1 did not write these.
    objective: str = ""
    classes: int = 0


def write(directory: str, metadata: Metadata) -> None:
    """Writes the metadata into the directory of a SavedModel."""
    folder = os.path.join(directory, EXTRA)
    tf.io.gfile.makedirs(folder)
    values = dataclasses.asdict(metadata)
    # Earlier versions do not know it.
    if not metadata.classes:
        del values["classes"]
    files.write_json(os.path.join(folder, _FILE), values)


def exists(directory: str) -> bool:
    """Whether a SavedModel has metadata."""
    return tf.io.gfile.exists(os.path.join(directory, EXTRA, _FILE))


def read(directory: str) -> Metadata:
    """Reads the metadata of a SavedModel.

    Raises:
        InputError: if the file is missing or damaged, or has other fields.
    """
    path = os.path.join(directory, EXTRA, _FILE)
    if not exists(directory):
        raise InputError(
            f"{directory} has no {EXTRA}/{_FILE}, which `tf-student export` writes."
        )
    values = files.read_object(path)
    try:
        shape = tuple(values.pop("image_shape"))
        about = Metadata(**values, image_shape=shape)
        check_types(about)
        check_image_shape(shape)
        if not 1 <= about.max_count < 2**31:
            refuse("max_count", "be 1 to 2147483647", about.max_count)
    except (InputError, KeyError, TypeError) as error:
        reason = error if isinstance(error, InputError) else repr(error)
        raise InputError(f"{path} is damaged: {reason}") from error
    return about
