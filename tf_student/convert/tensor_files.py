"""Readers of files of published weights, one tensor at a time."""

import numpy as np
import tensorflow as tf

from tf_student.convert.rows import Tensors
from tf_student.runtime.errors import InputError, first_line


def safetensors(path: str) -> Tensors:
    """The tensors of a `.safetensors` file.

    Raises:
        InputError: if the file is damaged, or of another type than float16, float32 and
            float64.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="np")
        slices = {name: file.get_slice(name) for name in file.keys()}
        for name, part in slices.items():
            if part.get_dtype() not in ("F16", "F32", "F64"):
                raise InputError(
                    f"{path} must hold float16, float32 or float64. Received: {name} "
                    f"of {part.get_dtype()}."
                )
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
    except SafetensorError as error:
        raise InputError(
            f"{path} is damaged or not a safetensors file: {error}."
        ) from error
    return Tensors(path, shapes, file.get_tensor)


def checkpoint(prefix: str) -> Tensors:
    """The variables of a TensorFlow checkpoint.

    Args:
        prefix: path of the checkpoint, without `.index` or `.data-00000-of-00001`.

    Raises:
        InputError: if the checkpoint is missing or damaged.
    """
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise InputError(f"{prefix} is not a readable checkpoint: {reason}") from error

    def read(name: str) -> np.ndarray:
        try:
            return reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise InputError(f"{prefix} is damaged: {reason}") from error

    return Tensors(prefix, {k: tuple(v) for k, v in shapes.items()}, read)


def keras_weights(path: str) -> Tensors:
    """The weights that Keras' `save_weights` wrote to HDF5.

    They are named by their position in the file, `0`, `1`, ...

    Raises:
        InputError: if the file is damaged or not one of Keras.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
        datasets = [
            file[layer][name]
            for layer in _attribute(file, "layer_names")
            for name in _attribute(file[layer], "weight_names")
        ]
        shapes = {str(i): tuple(data.shape) for i, data in enumerate(datasets)}
    # Other HDF5 files raise errors of nearly every type.
    except Exception as error:
        raise InputError(f"{path} is not a Keras weights file: {error}.") from error

    def read(name: str) -> np.ndarray:
        try:
            return datasets[int(name)][()]
        except OSError as error:
            raise InputError(f"{path} is damaged: {error}.") from error

    return Tensors(path, shapes, read)


def layer_count(path: str) -> int:
    """Number of top-level layers with weights in a file that `keras_weights` reads."""
    import h5py

    with h5py.File(path, "r") as file:
        groups = [file[name] for name in _attribute(file, "layer_names")]
        return sum(bool(_attribute(group, "weight_names")) for group in groups)


def _attribute(group, name: str) -> list[str]:
    """A list of strings, which Keras splits if it is too long for HDF5."""
    if name in group.attrs:
        parts = [group.attrs[name]]
    else:
        parts = []
        while f"{name}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{name}{len(parts)}"])
        if not parts:
            raise KeyError(f"no attribute {name}")
    words = [word for part in parts for word in part]
    return [w.decode() if isinstance(w, bytes) else str(w) for w in words]
