"""Reads a stored pair set as tf.data, generating the noise from seed and index."""

import concurrent.futures
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_student.data import streams
from tf_student.diffusion import noise
from tf_student.diffusion.inputs import Inputs
from tf_student.pairs import (
    fit_batches,
    manifests,
    order,
    records,
    shard_files,
    shard_index,
)
from tf_student.runtime import files
from tf_student.runtime.errors import InputError

# Object stores answer each request after tens of milliseconds.
_THREADS = 16
_REPAIR = "Run `tf-student pairs --repair` to re-generate it."
_REMOVE = "Remove it and run `tf-student pairs` again to re-generate it."


class PairSet:
    """A complete set of (noise, teacher image) pairs on disk.

    Args:
        directory: directory that `make_pairs` or `import_pairs` wrote.

    Attributes:
        directory: the directory.
        manifest: describes the pairs: teacher, sampler, counts, seed and files.

    Raises:
        InputError: if the set is incomplete, or a shard is missing, truncated or, on a
            local disk, in the place of another one.

    Example:

    >>> pairs = PairSet("runs/digits/pairs")
    >>> z, images = next(iter(pairs.dataset(4)))
    >>> z.shape == images.shape == (4, *pairs.manifest.image_shape)
    True
    """

    def __init__(self, directory: str):
        self.directory = directory
        self.manifest = manifests.read(directory)
        if not self.manifest.complete:
            raise InputError(
                f"{directory} is incomplete: {shard_index.count(directory)} of "
                f"{len(self.manifest.shards)} shards are finished. Run `tf-student "
                "pairs` again to continue."
            )
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
            for _ in threads.map(self._check_file, self.manifest.shards):
                pass
        manifests.check_noise(directory, self.manifest)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest, which includes the digests of all files."""
        return manifests.fingerprint(self.manifest)

    def dataset(
        self, batch_size: int, *, seed: int = 0, max_pairs: int = 0
    ) -> tf.data.Dataset:
        """Training pairs for `keras.Model.fit`: one epoch, in a new order each time.

        The order is a function of the seed and of the number of earlier iterations.

        Args:
            batch_size: pairs in a batch; an incomplete last batch is dropped.
            seed: seed of the order.
            max_pairs: number of pairs to use, rounded up to whole shards; 0 uses all.

        Returns:
            A dataset of (noise, image), both float32
            `[batch_size, height, width, channels]`, images in [-1, 1]. If the teacher
            has classes, the pair of noise and int32 labels takes the place of noise.

        Raises:
            ValueError: if `batch_size` is below 1 or above the number of pairs.

        Example:

        >>> student.compile("adam", "mae")
        >>> history = student.fit(pairs.dataset(16), epochs=1, verbose=0)
        """
        stream = order.reshuffled(
            self.manifest, self._read, seed=seed, max_pairs=max_pairs
        ).map(self._pair, tf.data.AUTOTUNE)
        count = order.count(self.manifest, max_pairs)
        return fit_batches.train_batches(stream, count=count, batch_size=batch_size)

    def held_out_dataset(self, batch_size: int) -> tf.data.Dataset:
        """Held-out pairs for `validation_data` of `fit`: all once, in a fixed order.

        Args:
            batch_size: pairs in a batch; the last batch may be smaller.

        Returns:
            A dataset of batches as in `dataset`.

        Raises:
            ValueError: if `batch_size` is below 1.

        Example:

        >>> student.compile("adam", "mae")
        >>> loss = student.evaluate(pairs.held_out_dataset(16), verbose=0)
        """
        count = self.manifest.pairs.held_out_pairs
        return fit_batches.held_out_batches(
            self.held_out(), count=count, batch_size=batch_size
        )

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless training pairs from a position on, as `distill` reads them.

        The pair at a position is a function of the seed and the position.

        Args:
            seed: seed of the order.
            start: number of pairs to skip at the beginning.
            max_pairs: number of pairs to use, rounded up to whole shards; 0 uses all.
            part: this worker's part of the stream.

        Returns:
            A dataset of (noise float32, image uint8), `[height, width, channels]`,
            with labels as in `dataset`.

        Example:

        >>> z, image = next(iter(pairs.train(seed=0, start=100)))
        >>> image.dtype
        tf.uint8
        """
        stream = order.endless(
            self.manifest,
            self._read,
            seed=seed,
            start=start,
            max_pairs=max_pairs,
            part=part,
        )
        return stream.map(lambda position, record: self._pair(record), tf.data.AUTOTUNE)

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in the order of their indices.

        Returns:
            A dataset of (noise float32, image uint8), `[height, width, channels]`,
            with labels as in `dataset`.

        Example:

        >>> z, image = next(iter(pairs.held_out()))
        >>> z.dtype
        tf.float32
        """
        return self._once(manifests.HELD_OUT, self._pair)

    def images(self) -> tf.data.Dataset:
        """The images of all training pairs, uint8, in the order of their indices."""
        return self._once(
            manifests.TRAIN,
            lambda record: records.decode(record, self.manifest)["image"],
        )

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged shard, if any is damaged."""
        for shard in self.manifest.shards:
            self._check_size(shard)
            path = self._path(shard)
            digest, _ = files.sha256(path)
            if digest != shard.sha256:
                raise InputError(
                    f"{path} is damaged{_first_bad(path)}. Expected: sha256 "
                    f"{shard.sha256}, received: {digest}. {_REPAIR}"
                )
            # Earlier versions took a part of a file for a shard.
            if not shard_files.is_whole(path, shard):
                raise InputError(
                    f"{path} must hold {shard.pairs} pairs. Received: a part of them. "
                    f"{_REMOVE}"
                )

    def close(self) -> None:
        """Does nothing: files are open only while a dataset is iterated."""

    def _read(self, numbers: tf.Tensor) -> tf.data.Dataset:
        """Records of some training shards, one of each shard in turn."""
        shards = self.manifest.split(manifests.TRAIN)
        paths = tf.constant([self._path(shard) for shard in shards])
        return tf.data.TFRecordDataset(
            tf.gather(paths, numbers), num_parallel_reads=order.WINDOW
        )

    def _once(self, split: str, decode: Callable[[tf.Tensor], Any]) -> tf.data.Dataset:
        paths = [self._path(shard) for shard in self.manifest.split(split)]
        stream = tf.data.TFRecordDataset(paths).map(decode, tf.data.AUTOTUNE)
        return streams.untuned(stream)

    def _pair(self, record: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
        pair = records.decode(record, self.manifest)
        if self.manifest.pairs.store_noise:
            z = pair["noise"]
        else:
            seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
            z = noise.draw(seed, pair["index"], shape)
        inputs = (z, pair["label"]) if self.manifest.classes else z
        return inputs, pair["image"]

    def _path(self, shard: manifests.Shard) -> str:
        return os.path.join(self.directory, shard.name)

    def _check_file(self, shard: manifests.Shard) -> None:
        self._check_size(shard)
        # An object store sends tens of megabytes for the first bytes of a file.
        if not files.is_remote(self.directory):
            self._check_place(shard)

    def _check_size(self, shard: manifests.Shard) -> None:
        path = self._path(shard)
        size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
        if size != shard.size:
            raise InputError(
                f"{path} is missing or truncated. Expected: {shard.size:,} bytes, "
                f"received: {size:,}. Run `tf-student pairs` again to re-generate it."
            )

    def _check_place(self, shard: manifests.Shard) -> None:
        """Refuses a copy of another shard, which has the same size."""
        path = self._path(shard)
        first = shard_files.first_index(path)
        # A file that cannot be read is an error with more words, later.
        if first not in (None, shard.first_index):
            raise InputError(
                f"{path} holds other pairs. Expected: the index {shard.first_index} "
                f"first, received: {first}. {_REPAIR}"
            )


def _first_bad(path: str) -> str:
    """The first unreadable record of a shard, for a message."""
    number = 0
    try:
        for _ in tf.data.TFRecordDataset(path):
            number += 1
    except tf.errors.OpError:
        return f" at record {number}"
    return ""
