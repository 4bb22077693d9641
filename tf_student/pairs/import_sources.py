"""Readers of pairs that other programs generated."""

import os
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.data import streams
from tf_student.pairs import manifests
from tf_student.runtime import files, paths
from tf_student.runtime.errors import InputError, first_line

# Names of the original project's arrays: noise and images of a part of the pairs.
_NOISE, _IMAGES = "x_{}.npy", "y_{}.npy"

Pair = tuple[np.ndarray, np.ndarray]


class NumpyPairs:
    """`x_train_*.npy`, `y_train_*.npy`, `x_test.npy` and `y_test.npy` of a folder.

    The authors of Denoising Student wrote these arrays: float16 noise and uint8 images,
    both `[n, height, width, channels]`.

    Args:
        directory: folder with the files.

    Attributes:
        image_shape: `(height, width, channels)`.

    Raises:
        InputError: if a file is missing or damaged, or noise and images differ in
            shape.
    """

    def __init__(self, directory: str):
        if files.is_remote(directory):
            raise InputError(
                "`import_from` must be a local folder for .npy files, which are mapped "
                f"into memory. Received: import_from={directory}."
            )
        self._directory = directory
        names = [
            match.group(1)
            for name in paths.listdir(directory)
            if (match := re.fullmatch(r"y_(train_\d+|test)\.npy", name))
        ]
        train = sorted((n for n in names if n != "test"), key=lambda n: int(n[6:]))
        if not train or "test" not in names:
            raise InputError(
                f"{directory} must hold x_train_0.npy, y_train_0.npy, ..., x_test.npy "
                f"and y_test.npy. Received: {', '.join(names) or 'none of them'}."
            )
        self._parts = {manifests.TRAIN: train, manifests.HELD_OUT: ["test"]}
        arrays = [self._open(part) for parts in self._parts.values() for part in parts]
        self.image_shape = arrays[0][1].shape[1:]
        for z, images in arrays:
            if z.shape != images.shape or images.shape[1:] != self.image_shape:
                raise InputError(
                    f"{directory} must hold noise and images of the same shape. "
                    f"Received: {z.shape} and {images.shape}."
                )

    def count(self, split: str) -> int:
        """Number of pairs in a split."""
        return sum(len(self._open(part)[1]) for part in self._parts[split])

    def pairs(self, split: str) -> Iterator[Pair]:
        """float32 noise and uint8 image of each pair of a split."""
        for part in self._parts[split]:
            for z, image in zip(*self._open(part), strict=True):
                yield z.astype(np.float32), image

    def _open(self, part: str) -> Pair:
        """Both arrays, memory-mapped."""
        both = [
            os.path.join(self._directory, n.format(part)) for n in (_NOISE, _IMAGES)
        ]
        try:
            z, images = (np.load(path, mmap_mode="r") for path in both)
        except (OSError, EOFError, ValueError) as error:
            raise InputError(
                f"{both[0]} or its images cannot be read: {error}."
            ) from error
        if z.dtype not in (np.float16, np.float32):
            raise InputError(
                f"{both[0]} must hold float16 or float32. Received: {z.dtype}."
            )
        if images.dtype != np.uint8 or images.ndim != 4:
            raise InputError(
                f"{both[1]} must hold uint8 [n, height, width, channels]. Received: "
                f"{images.dtype} {images.shape}."
            )
        return z, images


class TfdsPairs:
    """A TFDS folder with the features `noise` and `image`.

    Args:
        directory: folder of one version of the dataset.

    Attributes:
        image_shape: `(height, width, channels)`.

    Raises:
        InputError: if the features or the splits are not those of pairs.
    """

    def __init__(self, directory: str):
        # Slow to import.
        import tensorflow_datasets as tfds

        try:
            self._builder = tfds.builder_from_directory(directory)
        # TFDS raises errors of many types for damaged metadata.
        except Exception as error:
            reason = first_line(error)
            raise InputError(f"{directory} is not a TFDS folder: {reason}") from error
        features, splits = self._builder.info.features, self._builder.info.splits
        if not {"noise", "image"} <= set(features):
            raise InputError(
                f"{directory} must have the features noise and image. Received: "
                f"{', '.join(features)}."
            )
        if not {manifests.TRAIN, manifests.HELD_OUT} <= set(splits):
            raise InputError(
                f"{directory} must have the splits train and held_out. Received: "
                f"{', '.join(splits)}."
            )
        self.image_shape = tuple(features["image"].shape)
        for name, dtypes in (("image", ("uint8",)), ("noise", ("float16", "float32"))):
            shape = tuple(features[name].shape)
            dtype = np.dtype(features[name].np_dtype).name
            if dtype not in dtypes or shape != self.image_shape:
                raise InputError(
                    f"{directory}: `{name}` must be {' or '.join(dtypes)} of shape "
                    f"{self.image_shape}. Received: {dtype} of {shape}."
                )

    def count(self, split: str) -> int:
        """Number of pairs in a split."""
        return self._builder.info.splits[split].num_examples

    def pairs(self, split: str) -> Iterator[Pair]:
        """float32 noise and uint8 image of each pair of a split."""
        stream = streams.untuned(self._builder.as_dataset(split))
        for pair in stream.as_numpy_iterator():
            yield pair["noise"].astype(np.float32), pair["image"]


def open_source(directory: str) -> NumpyPairs | TfdsPairs:
    """Opens pairs that another program generated, in the format of their folder.

    Raises:
        InputError: if the folder is missing, or does not hold pairs.
    """
    if not tf.io.gfile.isdir(directory):
        raise InputError(f"`source` must be a folder. Received: source={directory}.")
    if tf.io.gfile.exists(os.path.join(directory, "features.json")):
        return TfdsPairs(directory)
    return NumpyPairs(directory)
