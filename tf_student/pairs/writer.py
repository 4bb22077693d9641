"""Writes a pair set shard by shard; each shard is written atomically."""

import concurrent.futures
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf
import tqdm

from tf_student.data import streams
from tf_student.diffusion import inputs as network_inputs
from tf_student.pairs import manifests, records, shard_index, tfds_metadata
from tf_student.pairs.interface import Sample
from tf_student.runtime import files, leftovers
from tf_student.runtime.errors import InputError
from tf_student.runtime.preemption import StopSignal
from tf_student.runtime.progress import bar as progress_bar

# A record's framing, its index, its label and the names of its features take 71 to 104
# bytes.
_RECORD_OVERHEAD = 112
_PNG_OVERHEAD = 100
_ATTEMPTS = 3


def bytes_on_disk(manifest: manifests.Manifest) -> int:
    """Upper bound of the bytes that the whole set takes."""
    values = int(np.prod(manifest.image_shape))
    each = values * (5 if manifest.pairs.store_noise else 1) + _RECORD_OVERHEAD
    if manifest.pairs.encoding == "png":
        # PNG adds a header, and a byte to each row; it may fail to compress.
        each += _PNG_OVERHEAD + manifest.image_shape[0]
    return each * sum(shard.pairs for shard in manifest.shards)


def write_pairs(
    directory: str,
    manifest: manifests.Manifest,
    sample: Sample,
    *,
    batch: int,
    worker_index: int = 0,
    num_workers: int = 1,
    progress: bool = False,
) -> manifests.Manifest:
    """Generates the missing shards, or one worker's part of them.

    Every shard is a function of the manifest, so an interrupted and restarted run, and
    any number of workers, write the bytes of a single uninterrupted run.

    Args:
        directory: created if it is missing.
        manifest: describes the set.
        sample: the teacher's sampler.
        batch: pairs to sample at once.
        worker_index: index of this worker, from 0. A worker generates every
            `num_workers`-th shard.
        num_workers: number of workers that share the set.
        progress: whether to draw a progress bar on stderr.

    Returns:
        The manifest; complete if no shards of other workers are missing.

    Raises:
        InputError: if the directory holds another pair set, or the disk is too small.
        Preempted: on SIGTERM. Finished shards stay.
    """
    mine = manifest.shards[worker_index::num_workers]
    todo = prepare(directory, manifest, mine)
    leftovers.remove(directory, {shard.name for shard in todo}.__contains__)
    bar = _bar(mine, todo, progress)
    # A shard that is not finished is generated again, so there is nothing to save.
    with bar, StopSignal("Finished shards are kept. The same command continues."):
        for shard in todo:
            write_shard(directory, manifest, shard, sample, batch, bar.update)
    return finish(directory, manifest)


def prepare(
    directory: str, manifest: manifests.Manifest, shards: Iterable[manifests.Shard]
) -> list[manifests.Shard]:
    """Begins or continues the set, and returns those of the shards that are missing.

    Raises:
        InputError: if the directory holds another pair set, or the disk is too small;
            nothing is written then.
    """
    shard_index.adopt(directory, manifest)
    todo = shard_index.missing(directory, shards)
    _check_space(directory, manifest, todo)
    shard_index.begin(directory, manifest)
    return todo


def finish(directory: str, manifest: manifests.Manifest) -> manifests.Manifest:
    """Completes the set if all shards are finished; returns its manifest."""
    manifest = shard_index.finish(directory, manifest)
    if manifest.complete:
        tfds_metadata.write(directory, manifest)
    return manifest


def write_shard(
    directory: str,
    manifest: manifests.Manifest,
    shard: manifests.Shard,
    sample: Sample,
    batch: int,
    tick: Callable[[int], None] = lambda pairs: None,
) -> None:
    """Generates a shard, unless another worker has finished it first.

    Args:
        directory: directory of the set, after `prepare`.
        manifest: describes the set.
        shard: the shard to generate.
        sample: the teacher's sampler.
        batch: pairs to sample at once.
        tick: called with the number of pairs after each batch.

    Raises:
        InputError: if the directory holds another pair set.
    """
    shard_index.confirm(directory, manifest)
    for attempt in range(_ATTEMPTS):
        if not shard_index.missing(directory, [shard]):
            return
        try:
            serialized = _records(manifest, shard, sample, batch, tick)
            return write_records(directory, manifest, shard, serialized)
        # Another worker completed the set and removed this worker's temporary file.
        except tf.errors.NotFoundError:
            if attempt + 1 == _ATTEMPTS or not tf.io.gfile.exists(directory):
                raise


def write_records(
    directory: str,
    manifest: manifests.Manifest,
    shard: manifests.Shard,
    serialized: Iterable[bytes],
) -> None:
    """Writes a shard and its completion marker, unless the shard is finished by then.

    Args:
        directory: directory of the set, after `prepare`.
        manifest: describes the set.
        shard: the shard to write.
        serialized: its records.

    Raises:
        InputError: if the directory holds another pair set by then.
    """
    path = os.path.join(directory, shard.name)
    try:
        with files.replacing(path) as temporary:
            with tf.io.TFRecordWriter(temporary) as file:
                for record in serialized:
                    file.write(record)
            finished = shard_index.with_digest(directory, shard, temporary)
            shard_index.confirm(directory, manifest)
            if not shard_index.missing(directory, [shard]):
                raise _OvertakenError
    except _OvertakenError:
        return
    shard_index.mark_completed(directory, finished)


class _OvertakenError(Exception):
    """Another worker finished the same shard first."""


def _check_space(
    directory: str, manifest: manifests.Manifest, todo: Sequence[manifests.Shard]
) -> None:
    if "://" in directory or not todo:
        return
    parent = os.path.abspath(directory)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    needed = bytes_on_disk(dataclasses.replace(manifest, shards=tuple(todo)))
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise InputError(
            f"The disk of {directory} is too small for these pairs. Expected: "
            f"{needed:,} bytes free, received: {free:,}."
        )


def _bar(
    mine: Sequence[manifests.Shard], todo: Sequence[manifests.Shard], enabled: bool
) -> tqdm.tqdm:
    total, remaining = (sum(s.pairs for s in shards) for shards in (mine, todo))
    return progress_bar(
        total=total,
        done=total - remaining,
        label="pairs",
        unit="pair",
        enabled=enabled,
    )


def _input_batches(
    manifest: manifests.Manifest, shard: manifests.Shard, batch: int
) -> tf.data.Dataset:
    """(indices, inputs) of a shard, drawn while the devices sample."""
    end = shard.first_index + shard.pairs
    indices = tf.data.Dataset.range(shard.first_index, end).batch(batch)
    seed, shape = manifest.pairs.pairs_seed, manifest.image_shape
    batches = indices.map(
        lambda i: (i, network_inputs.batch(seed, i, shape, manifest.classes)),
        tf.data.AUTOTUNE,
    )
    return streams.untuned(batches.prefetch(1))


def _records(
    manifest: manifests.Manifest,
    shard: manifests.Shard,
    sample: Sample,
    batch: int,
    tick: Callable[[int], None],
) -> Iterator[bytes]:
    def encoded(indices, images, inputs):
        z, labels = network_inputs.split(inputs)
        nothing = [None] * len(z)
        stored = z if manifest.pairs.store_noise else nothing
        labels = nothing if labels is None else labels.tolist()
        for index, *parts in zip(indices, images, stored, labels, strict=True):
            image, kept, label = parts
            encoding = manifest.pairs.encoding
            yield records.encode(int(index), image, kept, encoding, label)

    previous: Iterable[bytes] = ()
    # A batch is encoded and written while the devices sample the next one.
    with concurrent.futures.ThreadPoolExecutor(1) as devices:
        batches = _input_batches(manifest, shard, batch).as_numpy_iterator()
        for indices, inputs in batches:
            images = devices.submit(sample, inputs)
            yield from previous
            previous = encoded(indices, images.result(), inputs)
            tick(len(indices))
        yield from previous
