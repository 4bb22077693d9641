"""Pair sets made elsewhere."""

import collections
import os
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.data import streams
from tf_student.pairs import manifests, records, writer
from tf_student.runtime.errors import InputError

# Names of the original project's arrays: noise and images of one file of pairs.
_NOISE, _IMAGES = "x_{}.npy", "y_{}.npy"


class NumpyPairs:
    """`x_train_*.npy`, `y_train_*.npy`, `x_test.npy` and `y_test.npy` of a folder.

    As the Denoising Student's authors wrote them: float16 noise and uint8 images
    `[n, height, width, channels]`.

    Args:
        directory: holds the files.

    Raises:
        InputError: if there are none, or two that belong together do not fit.
    """

    def __init__(self, directory: str):
        self.directory = directory
        found = [
            match.group(1)
            for name in sorted(tf.io.gfile.listdir(directory))
            if (match := re.fullmatch(r"y_(train_\d+|test)\.npy", name))
        ]
        train = sorted((n for n in found if n != "test"), key=lambda n: int(n[6:]))
        if not train or "test" not in found:
            raise InputError(
                f"{directory} must hold x_train_0.npy, y_train_0.npy, .., x_test.npy "
                f"and y_test.npy. Received: {', '.join(found) or 'none of them'}."
            )
        self._parts = {manifests.TRAIN: train, manifests.HELD_OUT: ["test"]}
        arrays = [self._open(part) for parts in self._parts.values() for part in parts]
        self.image_shape = arrays[0][1].shape[1:]
        for z, images in arrays:
            if z.shape != images.shape or images.shape[1:] != self.image_shape:
                raise InputError(
                    f"{directory} must hold noise and images of one shape. Received: "
                    f"{z.shape} and {images.shape}."
                )

    def count(self, split: str) -> int:
        """Pairs of a split."""
        return sum(len(self._open(part)[1]) for part in self._parts[split])

    def pairs(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """float32 noise and uint8 image of each pair of a split."""
        for part in self._parts[split]:
            for z, image in zip(*self._open(part), strict=True):
                yield z.astype(np.float32), image

    def _open(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Both arrays, left on the disk."""
        paths = [
            os.path.join(self.directory, n.format(part)) for n in (_NOISE, _IMAGES)
        ]
        try:
            z, images = (np.load(path, mmap_mode="r") for path in paths)
        except (OSError, EOFError, ValueError) as error:
            raise InputError(
                f"{paths[0]} or its images cannot be read: {error}."
            ) from error
        if z.dtype not in (np.float16, np.float32):
            raise InputError(
                f"{paths[0]} must hold float16 or float32. Received: {z.dtype}."
            )
        if images.dtype != np.uint8 or images.ndim != 4:
            raise InputError(
                f"{paths[1]} must hold uint8 [n, height, width, channels]. Received: "
                f"{images.dtype} {images.shape}."
            )
        return z, images


class TfdsPairs:
    """A folder that TFDS wrote, with features `noise` and `image`.

    Args:
        directory: of one version of the dataset.

    Raises:
        InputError: if it has other features or splits.
    """

    def __init__(self, directory: str):
        import tensorflow_datasets as tfds

        self._builder = tfds.builder_from_directory(directory)
        features, splits = self._builder.info.features, self._builder.info.splits
        if not {"noise", "image"} <= set(features):
            raise InputError(
                f"{directory} must have features noise and image. Received: "
                f"{', '.join(features)}."
            )
        for split in (manifests.TRAIN, manifests.HELD_OUT):
            if split not in splits:
                raise InputError(
                    f"{directory} must have splits train and held_out. Received: "
                    f"{', '.join(splits)}."
                )
        self.image_shape = tuple(features["image"].shape)
        for name, dtypes in (("image", ("uint8",)), ("noise", ("float16", "float32"))):
            feature = features[name]
            found = np.dtype(feature.np_dtype).name
            if found not in dtypes or tuple(feature.shape) != self.image_shape:
                raise InputError(
                    f"{directory}: `{name}` must be {' or '.join(dtypes)} of shape "
                    f"{self.image_shape}. Received: {found} of {tuple(feature.shape)}."
                )

    def count(self, split: str) -> int:
        """Pairs of a split."""
        return self._builder.info.splits[split].num_examples

    def pairs(self, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """float32 noise and uint8 image of each pair of a split."""
        stream = streams.untuned(self._builder.as_dataset(split))
        for pair in stream.as_numpy_iterator():
            yield pair["noise"].astype(np.float32), pair["image"]


def open_pairs(directory: str) -> NumpyPairs | TfdsPairs:
    """Recognises pairs that were made elsewhere."""
    if not tf.io.gfile.isdir(directory):
        raise InputError(f"`import_from` must be a folder. Received: {directory}.")
    if tf.io.gfile.exists(os.path.join(directory, "features.json")):
        return TfdsPairs(directory)
    return NumpyPairs(directory)


def import_pairs(
    directory: str,
    manifest: manifests.Manifest,
    source: NumpyPairs | TfdsPairs,
) -> manifests.Manifest:
    """Writes a pair set from pairs that are there; the noise is stored with them.

    Args:
        directory: made if missing.
        manifest: with `store_noise` and the source's counts and shape.
        source: the pairs.

    Returns:
        The complete manifest.

    Raises:
        InputError: as `pairs.writer.write_pairs`.
    """
    todo = {s.name for s in writer.prepare(directory, manifest, manifest.shards)}
    for split in (manifests.TRAIN, manifests.HELD_OUT):
        pairs = source.pairs(split)
        for shard in manifest.split(split):
            found = _part(pairs, manifest, shard)
            if shard.name in todo:
                writer.write_records(directory, manifest, shard, found)
            # What is there already is passed over.
            collections.deque(found, maxlen=0)
    return writer.finish(directory, manifest)


def _part(pairs, manifest, shard) -> Iterator[bytes]:
    """The records of the next shard."""
    for index in range(shard.first_index, shard.first_index + shard.pairs):
        try:
            z, image = next(pairs)
        except StopIteration:
            raise InputError(
                f"The source must hold {manifest.pairs.pairs:,} and "
                f"{manifest.pairs.held_out_pairs:,} pairs, as it says. It ended in "
                f"{shard.split} before pair {index:,}."
            ) from None
        if not np.isfinite(z).all():
            raise InputError(f"Noise must be finite. That of pair {index:,} is not.")
        yield records.encode(index, image, z, manifest.pairs.encoding)
