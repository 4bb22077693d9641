"""Writes a pair set shard by shard; a shard is there whole or not at all."""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tqdm

from tf_student import files, noise
from tf_student.errors import InputError, Preempted
from tf_student.pairs import records
from tf_student.progress import bar as progress_bar
from tf_student.training.preemption import StopSignal

# A record's framing, its index and the names of its features: 71 to 89 bytes.
_RECORD_OVERHEAD = 96


def bytes_on_disk(manifest: records.Manifest) -> int:
    """Bytes that the whole set takes at most, as raw images."""
    values = int(np.prod(manifest.image_shape))
    each = values * (5 if manifest.pairs.store_noise else 1) + _RECORD_OVERHEAD
    return each * sum(shard.pairs for shard in manifest.shards)


def write_pairs(
    directory: str,
    manifest: records.Manifest,
    sample: Callable[[np.ndarray], np.ndarray],
    *,
    batch: int,
    progress: bool = False,
) -> records.Manifest:
    """Makes the shards that are missing.

    Every shard is a function of the manifest, so a run that was killed and started
    again leaves the bytes of an undisturbed one.

    Args:
        directory: made if missing.
        manifest: what to write.
        sample: from float32 noise `[n, *image_shape]` to uint8 images of that shape.
        batch: pairs to sample at once.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The complete manifest.

    Raises:
        InputError: if the directory holds another pair set, or the disk is too small.
        Preempted: on SIGTERM. Finished shards stay.
    """
    manifest = _adopt(directory, manifest)
    missing = [shard for shard in manifest.shards if not shard.written]
    _check_space(directory, manifest, missing)
    tf.io.gfile.makedirs(directory)
    files.remove_leftovers(directory)
    records.write_manifest(directory, manifest)
    bar = progress_bar(
        total=sum(shard.pairs for shard in manifest.shards),
        done=sum(s.pairs for s in manifest.shards if s.written),
        label="pairs",
        unit="pair",
        enabled=progress,
    )
    with bar, StopSignal() as stop:
        for shard in missing:
            done = _write_shard(
                directory, manifest, shard, sample, batch, lambda n: _tick(bar, stop, n)
            )
            shards = [done if s.name == done.name else s for s in manifest.shards]
            manifest = _with_shards(manifest, shards)
            records.write_manifest(directory, manifest)
    _write_tfds_metadata(directory, manifest)
    return manifest


def _adopt(directory: str, manifest: records.Manifest) -> records.Manifest:
    """Takes over the shards that an earlier run finished."""
    if not tf.io.gfile.exists(os.path.join(directory, records.MANIFEST)):
        return manifest
    old = records.read_manifest(directory)
    difference = records.differences(old, manifest)
    if difference:
        raise InputError(f"{directory} holds another pair set. {difference}")
    whole = [s if _present(directory, s) else _unwritten(s) for s in old.shards]
    return _with_shards(manifest, whole)


def _present(directory: str, shard: records.Shard) -> bool:
    path = os.path.join(directory, shard.name)
    return shard.written and (
        tf.io.gfile.exists(path) and tf.io.gfile.stat(path).length == shard.size
    )


def _unwritten(shard: records.Shard) -> records.Shard:
    return dataclasses.replace(shard, sha256="", size=0)


def _with_shards(manifest, shards) -> records.Manifest:
    return dataclasses.replace(manifest, shards=tuple(shards))


def _check_space(directory, manifest, missing) -> None:
    parent = os.path.abspath(directory)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if "://" in directory or not missing:
        return
    needed = bytes_on_disk(_with_shards(manifest, missing))
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise InputError(
            f"The disk of {directory} is too small for these pairs. Expected: "
            f"{needed:,} bytes free, received: {free:,}."
        )


def _tick(bar: tqdm.tqdm, stop: StopSignal, pairs: int) -> None:
    bar.update(pairs)
    if stop.received:
        raise Preempted("Finished shards are kept; the same command goes on.")


def _noise_batches(
    manifest: records.Manifest, shard: records.Shard, batch: int
) -> tf.data.Dataset:
    """(indices, noise) of a shard, drawn while the devices sample."""
    end = shard.first_index + shard.pairs
    indices = tf.data.Dataset.range(shard.first_index, end).batch(batch)
    seed, shape = manifest.pairs.pairs_seed, manifest.image_shape
    return indices.map(
        lambda i: (i, noise.normal(seed, i, shape)), tf.data.AUTOTUNE
    ).prefetch(1)


def _records(manifest, shard, sample, batch, tick) -> Iterator[bytes]:
    for indices, z in _noise_batches(manifest, shard, batch).as_numpy_iterator():
        images = sample(z)
        stored = z if manifest.pairs.store_noise else [None] * len(z)
        for index, image, kept in zip(indices, images, stored, strict=True):
            yield records.encode(int(index), image, kept, manifest.pairs.encoding)
        tick(len(z))


def _write_shard(directory, manifest, shard, sample, batch, tick) -> records.Shard:
    with files.replacing(os.path.join(directory, shard.name)) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for record in _records(manifest, shard, sample, batch, tick):
                writer.write(record)
        sha256, size = digest(temporary)
    return dataclasses.replace(shard, sha256=sha256, size=size)


def digest(path: str) -> tuple[str, int]:
    """SHA-256 and length of a file."""
    sha256, size = hashlib.sha256(), 0
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(2**20):
            sha256.update(block)
            size += len(block)
    return sha256.hexdigest(), size


def _write_tfds_metadata(directory: str, manifest: records.Manifest) -> None:
    """Lets `tfds.builder_from_directory` open the folder."""
    # Slow to import, and needed only here.
    import tensorflow_datasets as tfds

    shape, pairs = manifest.image_shape, manifest.pairs
    raw = tfds.features.Encoding.BYTES
    image = (
        tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding=raw)
        if pairs.encoding == "raw"
        else tfds.features.Image(shape=shape, encoding_format="png")
    )
    features = {"index": tfds.features.Scalar(np.int64), "image": image}
    if pairs.store_noise:
        features["noise"] = tfds.features.Tensor(
            shape=shape, dtype=np.float32, encoding=raw
        )
    template = tfds.core.ShardedFileTemplate(
        data_dir=directory,
        dataset_name="pairs",
        filetype_suffix="tfrecord",
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )
    splits = [
        tfds.core.SplitInfo(
            name=name,
            shard_lengths=[shard.pairs for shard in manifest.split(name)],
            num_bytes=sum(shard.size for shard in manifest.split(name)),
            filename_template=template,
        )
        for name in (records.TRAIN, records.HELD_OUT)
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        features=tfds.features.FeaturesDict(features),
        split_infos=splits,
        filename_template=template,
        check_data=False,
    )
