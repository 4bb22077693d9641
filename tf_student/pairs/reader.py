"""Reads a pair set as tf.data, making the noise again from seed and index."""

import os

import tensorflow as tf

from tf_student import noise, streams
from tf_student.errors import InputError
from tf_student.pairs import ledger, order, records


class PairSet:
    """A complete pair set.

    Args:
        directory: holds `manifest.json` and the shards.

    Raises:
        InputError: if the set is incomplete, or a shard is missing or cut off.
    """

    def __init__(self, directory: str):
        self.directory = directory
        self.manifest = records.read_manifest(directory)
        if not self.manifest.complete:
            raise InputError(
                f"{directory} is incomplete: {ledger.count(directory)} of "
                f"{len(self.manifest.shards)} shards. Run `tf-student pairs` again to "
                "go on."
            )
        for shard in self.manifest.shards:
            self._check_size(shard)
        records.check_noise(directory, self.manifest)

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
        shards = self.manifest.split(records.TRAIN)
        paths = tf.constant([self._path(shard) for shard in shards])

        def read(numbers):
            files = tf.gather(paths, numbers)
            return tf.data.TFRecordDataset(files, num_parallel_reads=order.WINDOW)

        stream = order.endless(
            self.manifest, read, seed=seed, start=start, max_pairs=max_pairs, part=part
        )
        return stream.map(lambda position, record: self._pair(record), tf.data.AUTOTUNE)

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in their order: (noise, image) as in `train`."""
        return self._once(records.HELD_OUT, self._pair)

    def images(self) -> tf.data.Dataset:
        """The teacher's images of the training pairs, uint8, in their order."""
        return self._once(
            records.TRAIN, lambda record: records.decode(record, self.manifest)["image"]
        )

    def diagnose(self) -> None:
        """Raises an `InputError` that names a damaged shard, if there is one."""
        for shard in self.manifest.shards:
            self._check_size(shard)
            found, _ = ledger.digest(self._path(shard))
            if found != shard.sha256:
                raise InputError(
                    f"{self._path(shard)} is damaged{_first_bad(self._path(shard))}. "
                    f"Expected: sha256 {shard.sha256}, received: {found}. "
                    "`tf-student pairs --repair` makes it again."
                )

    def close(self) -> None:
        """Does nothing: files are open only while a stream is read."""

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

    def _path(self, shard: records.Shard) -> str:
        return os.path.join(self.directory, shard.name)

    def _check_size(self, shard: records.Shard) -> None:
        path = self._path(shard)
        size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
        if size != shard.size:
            raise InputError(
                f"{path} is missing or cut off. Expected: {shard.size:,} bytes, "
                f"received: {size:,}. Run `tf-student pairs` again to make it."
            )


def _first_bad(path: str) -> str:
    """Which record of a shard cannot be read, for a message."""
    number = 0
    try:
        for _ in tf.data.TFRecordDataset(path):
            number += 1
    except tf.errors.OpError:
        return f" at record {number}"
    return ""
