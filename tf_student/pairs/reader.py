"""Reads a pair set as tf.data, making the noise again from seed and index."""

import os

import tensorflow as tf

from tf_student import noise, streams
from tf_student.errors import InputError
from tf_student.pairs import ledger, records

# Shards that are read together and shuffled as one.
_WINDOW = 16


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
        """Endless training pairs from a position on, a function of seed and position.

        Shards are shuffled every epoch, and pairs within windows of some shards, so
        that a window fits into memory and whole windows can be skipped unread.

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
        if max_pairs:
            shards = shards[: -(-max_pairs // self.manifest.pairs.shard_pairs)]
        paths = tf.constant([self._path(shard) for shard in shards])
        counts = tf.constant([shard.pairs for shard in shards], tf.int64)

        def epoch(number, skip):
            return self._epoch(paths, counts, seed, number, skip)

        count = sum(shard.pairs for shard in shards)
        stream = part.of(streams.endless(epoch, count=count, start=start))
        return stream.map(lambda position, record: self._pair(record), tf.data.AUTOTUNE)

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in their order: (noise, image) as in `train`."""
        paths = [self._path(shard) for shard in self.manifest.split(records.HELD_OUT)]
        return tf.data.TFRecordDataset(paths).map(self._pair, tf.data.AUTOTUNE)

    def images(self) -> tf.data.Dataset:
        """The teacher's images of the training pairs, uint8, in their order."""
        paths = [self._path(shard) for shard in self.manifest.split(records.TRAIN)]
        return tf.data.TFRecordDataset(paths).map(
            lambda record: records.decode(record, self.manifest)["image"],
            tf.data.AUTOTUNE,
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

    def _epoch(self, paths, counts, seed, epoch, skip):
        key = tf.stack([tf.constant(seed, tf.int64), epoch])
        draws = tf.random.stateless_uniform(paths.shape, key)
        order = tf.argsort(draws, stable=True)
        ends = tf.cumsum(tf.gather(counts, order))
        # Windows that lie wholly before the position are not even opened.
        whole = tf.reduce_sum(tf.cast(ends <= skip, tf.int64)) // _WINDOW * _WINDOW
        before = tf.where(whole > 0, tf.gather(ends, tf.maximum(whole - 1, 0)), 0)

        def window(files):
            found = tf.data.TFRecordDataset(files, num_parallel_reads=_WINDOW)
            size = _WINDOW * self.manifest.pairs.shard_pairs
            return streams.shuffle_windows(found, size=size, seed=seed, epoch=epoch)

        files = tf.data.Dataset.from_tensor_slices(tf.gather(paths, order)).skip(whole)
        return files.batch(_WINDOW).flat_map(window).skip(skip - before)

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
