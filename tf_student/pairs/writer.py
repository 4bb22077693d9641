"""Writes a pair set shard by shard; a shard is there whole or not at all."""

import concurrent.futures
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
import tqdm

from tf_student.data import streams
from tf_student.diffusion import noise
from tf_student.pairs import manifests, records, shard_index, tfds_metadata
from tf_student.runtime import files
from tf_student.runtime.errors import InputError, Preempted
from tf_student.runtime.preemption import StopSignal
from tf_student.runtime.progress import bar as progress_bar

# A record's framing, its index and the names of its features: 71 to 89 bytes.
_RECORD_OVERHEAD = 96
_PNG_OVERHEAD = 100
_ATTEMPTS = 3


def bytes_on_disk(manifest: manifests.Manifest) -> int:
    """Bytes that the whole set takes at most."""
    values = int(np.prod(manifest.image_shape))
    each = values * (5 if manifest.pairs.store_noise else 1) + _RECORD_OVERHEAD
    if manifest.pairs.encoding == "png":
        # Its header, and a byte a row; it need not be smaller.
        each += _PNG_OVERHEAD + manifest.image_shape[0]
    return each * sum(shard.pairs for shard in manifest.shards)


def write_pairs(
    directory: str,
    manifest: manifests.Manifest,
    sample: Callable[[np.ndarray], np.ndarray],
    *,
    batch: int,
    worker_index: int = 0,
    num_workers: int = 1,
    progress: bool = False,
) -> manifests.Manifest:
    """Makes the shards that are missing, or one worker's part of them.

    Every shard is a function of the manifest, so a run that was killed and started
    again, and any number of workers, leave the bytes of one undisturbed run.

    Args:
        directory: made if missing.
        manifest: what to write.
        sample: from float32 noise `[n, *image_shape]` to uint8 images of that shape.
        batch: pairs to sample at once.
        worker_index: of this worker, from 0; it makes every `num_workers`-th shard.
        num_workers: that share the set.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The manifest, complete if no other worker's shards are missing.

    Raises:
        InputError: if the directory holds another pair set, or the disk is too small.
        Preempted: on SIGTERM. Finished shards stay.
    """
    mine = manifest.shards[worker_index::num_workers]
    todo = prepare(directory, manifest, mine)
    files.remove_leftovers(directory, [shard.name for shard in todo])
    pairs = sum(shard.pairs for shard in mine)
    bar = progress_bar(
        total=pairs,
        done=pairs - sum(shard.pairs for shard in todo),
        label="pairs",
        unit="pair",
        enabled=progress,
    )
    with bar, StopSignal() as stop:
        for shard in todo:
            write_shard(
                directory, manifest, shard, sample, batch, lambda n: _tick(bar, stop, n)
            )
    return finish(directory, manifest)


def prepare(
    directory: str, manifest: manifests.Manifest, shards: Iterable[manifests.Shard]
) -> list[manifests.Shard]:
    """Begins the set, or goes on with it; returns those of the shards to make.

    Raises:
        InputError: as `write_pairs`; nothing is written then.
    """
    shard_index.adopt(directory, manifest)
    todo = shard_index.missing(directory, shards)
    _check_space(directory, manifest, todo)
    shard_index.begin(directory, manifest)
    return todo


def finish(directory: str, manifest: manifests.Manifest) -> manifests.Manifest:
    """Completes the set if every shard is there; returns its manifest."""
    manifest = shard_index.finish(directory, manifest)
    if manifest.complete:
        tfds_metadata.write(directory, manifest)
    return manifest


def write_shard(
    directory: str,
    manifest: manifests.Manifest,
    shard: manifests.Shard,
    sample: Callable[[np.ndarray], np.ndarray],
    batch: int,
    tick: Callable[[int], None] = lambda pairs: None,
) -> None:
    """Makes one shard and its receipt, unless another worker was faster.

    Args:
        directory: of the set, begun.
        manifest: of the set.
        shard: which one.
        sample: as in `write_pairs`.
        batch: pairs to sample at once.
        tick: called with the number of pairs after each batch.
    """
    shard_index.confirm(directory, manifest)
    for attempt in range(_ATTEMPTS):
        if not shard_index.missing(directory, [shard]):
            return
        try:
            found = _records(manifest, shard, sample, batch, tick)
            return write_records(directory, manifest, shard, found)
        # The shard's other worker tidied up.
        except tf.errors.NotFoundError:
            if attempt + 1 == _ATTEMPTS or not tf.io.gfile.exists(directory):
                raise


def write_records(
    directory: str,
    manifest: manifests.Manifest,
    shard: manifests.Shard,
    found: Iterable[bytes],
) -> None:
    """Writes a shard of those records and its receipt, or leaves what is there.

    Raises:
        InputError: if the directory holds another pair set by now.
    """
    path = os.path.join(directory, shard.name)
    try:
        with files.replacing(path) as temporary:
            with tf.io.TFRecordWriter(temporary) as file:
                for record in found:
                    file.write(record)
            done = shard_index.sealed(directory, shard, temporary)
            shard_index.confirm(directory, manifest)
            if not shard_index.missing(directory, [shard]):
                raise _OvertakenError
    except _OvertakenError:
        return
    shard_index.enter(directory, done)


class _OvertakenError(Exception):
    """Another worker finished the same shard first."""


def _check_space(directory, manifest, missing) -> None:
    if "://" in directory or not missing:
        return
    parent = os.path.abspath(directory)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    needed = bytes_on_disk(dataclasses.replace(manifest, shards=tuple(missing)))
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
    manifest: manifests.Manifest, shard: manifests.Shard, batch: int
) -> tf.data.Dataset:
    """(indices, noise) of a shard, drawn while the devices sample."""
    end = shard.first_index + shard.pairs
    indices = tf.data.Dataset.range(shard.first_index, end).batch(batch)
    seed, shape = manifest.pairs.pairs_seed, manifest.image_shape
    batches = indices.map(lambda i: (i, noise.normal(seed, i, shape)), tf.data.AUTOTUNE)
    return streams.untuned(batches.prefetch(1))


def _records(manifest, shard, sample, batch, tick) -> Iterator[bytes]:
    def encoded(indices, images, z):
        stored = z if manifest.pairs.store_noise else [None] * len(z)
        for index, image, kept in zip(indices, images, stored, strict=True):
            yield records.encode(int(index), image, kept, manifest.pairs.encoding)

    done = [], [], []
    # A batch is stored while the devices sample the next.
    with concurrent.futures.ThreadPoolExecutor(1) as devices:
        for indices, z in _noise_batches(manifest, shard, batch).as_numpy_iterator():
            images = devices.submit(sample, z)
            yield from encoded(*done)
            done = indices, images.result(), z
            tick(len(z))
        yield from encoded(*done)
