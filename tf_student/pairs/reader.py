"""Reads a pair set as tf.data, making the noise again from seed and index."""

import os

import tensorflow as tf

from tf_student.data import images, streams
from tf_student.diffusion import noise
from tf_student.pairs import manifests, order, records, shard_index
from tf_student.runtime import files
from tf_student.runtime.errors import InputError


class PairSet:
    """A complete pair set.

    Args:
        directory: holds `manifest.json` and the shards.

    Raises:
        InputError: if the set is incomplete, or a shard is missing or cut off.
    """

    def __init__(self, directory: str):
        self.directory = directory
        self.manifest = manifests.read(directory)
        if not self.manifest.complete:
            raise InputError(
                f"{directory} is incomplete: {shard_index.count(directory)} of "
                f"{len(self.manifest.shards)} shards. Run `tf-student pairs` again to "
                "go on."
            )
        for shard in self.manifest.shards:
            self._check_size(shard)
        manifests.check_noise(directory, self.manifest)

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless training pairs from a position on, in the order of `order.endless`.

        Args:
            seed: of the order.
            start: pairs that are left out at the beginning.
            max_pairs: takes the first so many pairs alone, rounded up to whole shards;
                0 takes all.
            part: this worker's part of the stream.

        Returns:
            A dataset of (noise float32, image uint8), `[height, width, channels]`.
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
        """All held-out pairs once, in their order: (noise, image) as in `train`."""
        return self._once(manifests.HELD_OUT, self._pair)

    def images(self) -> tf.data.Dataset:
        """The teacher's images of the training pairs, uint8, in their order."""
        return self._once(
            manifests.TRAIN,
            lambda record: records.decode(record, self.manifest)["image"],
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what the pairs are and the digests of all their files."""
        return manifests.fingerprint(self.manifest)

    def dataset(
        self, batch_size: int, *, seed: int = 0, max_pairs: int = 0
    ) -> tf.data.Dataset:
        """Training pairs for `keras.Model.fit`: one epoch, in a new order each time.

        Args:
            batch_size: pairs of a batch; an incomplete last batch is dropped.
            seed: of the order.
            max_pairs: uses only that many pairs, rounded up to whole shards; 0 uses
                all.

        Returns:
            A dataset of (noise, image), both float32
            `[batch_size, height, width, channels]`, images in [-1, 1].

        Raises:
            ValueError: if there are fewer pairs than `batch_size`.

        Example:

        >>> student.compile("adam", "mae")
        >>> history = student.fit(pairs.dataset(64), epochs=2)
        """
        stream = order.reshuffled(
            self.manifest, self._read, seed=seed, max_pairs=max_pairs
        )
        batches = order.count(self.manifest, max_pairs) // batch_size
        if not batches:
            raise ValueError(
                "`batch_size` must be at most the number of pairs. Received: "
                f"batch_size={batch_size}, pairs={self.manifest.pairs.pairs}."
            )
        stream = stream.map(self._float_pair, tf.data.AUTOTUNE)
        return _of_length(stream.batch(batch_size, drop_remainder=True), batches)

    def held_out_dataset(self, batch_size: int) -> tf.data.Dataset:
        """Held-out pairs once, in batches as of `dataset`, for `validation_data`."""
        batches = self._once(manifests.HELD_OUT, self._float_pair).batch(batch_size)
        return _of_length(batches, -(-self.manifest.pairs.held_out_pairs // batch_size))

    def _float_pair(self, record):
        z, image = self._pair(record)
        return z, images.to_float(image)

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged shard, if there is one."""
        for shard in self.manifest.shards:
            self._check_size(shard)
            digest, _ = files.sha256(self._path(shard))
            if digest != shard.sha256:
                raise InputError(
                    f"{self._path(shard)} is damaged{_first_bad(self._path(shard))}. "
                    f"Expected: sha256 {shard.sha256}, received: {digest}. "
                    "`tf-student pairs --repair` makes it again."
                )

    def close(self) -> None:
        """Does nothing: files are open only while a stream is read."""

    def _read(self, numbers):
        """Records of some training shards, one of each shard in turn."""
        shards = self.manifest.split(manifests.TRAIN)
        paths = tf.constant([self._path(shard) for shard in shards])
        return tf.data.TFRecordDataset(
            tf.gather(paths, numbers), num_parallel_reads=order.WINDOW
        )

    def _once(self, split, decode):
        paths = [self._path(shard) for shard in self.manifest.split(split)]
        stream = tf.data.TFRecordDataset(paths).map(decode, tf.data.AUTOTUNE)
        return streams.untuned(stream)

    def _pair(self, record):
        pair = records.decode(record, self.manifest)
        if self.manifest.pairs.store_noise:
            return pair["noise"], pair["image"]
        seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
        return noise.draw(seed, pair["index"], shape), pair["image"]

    def _path(self, shard: manifests.Shard) -> str:
        return os.path.join(self.directory, shard.name)

    def _check_size(self, shard: manifests.Shard) -> None:
        path = self._path(shard)
        size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
        if size != shard.size:
            raise InputError(
                f"{path} is missing or cut off. Expected: {shard.size:,} bytes, "
                f"received: {size:,}. Run `tf-student pairs` again to make it."
            )


def _of_length(batches: tf.data.Dataset, length: int) -> tf.data.Dataset:
    """Batches in the background, whose number Keras can see."""
    known = batches.apply(tf.data.experimental.assert_cardinality(length))
    return known.prefetch(2)


def _first_bad(path: str) -> str:
    """Which record of a shard cannot be read, for a message."""
    number = 0
    try:
        for _ in tf.data.TFRecordDataset(path):
            number += 1
    except tf.errors.OpError:
        return f" at record {number}"
    return ""
