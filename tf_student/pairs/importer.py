"""Writes a pair set from pairs that another program generated."""

import collections
from collections.abc import Iterator

import numpy as np

from tf_student.pairs import manifests, records, writer
from tf_student.pairs.import_sources import NumpyPairs, Pair, TfdsPairs
from tf_student.runtime.errors import InputError


def write_imported(
    directory: str,
    manifest: manifests.Manifest,
    source: NumpyPairs | TfdsPairs,
) -> manifests.Manifest:
    """Writes a pair set with the images and the noise of a source.

    Args:
        directory: created if it is missing.
        manifest: describes the set, with `store_noise` and the source's counts and
            image shape.
        source: the pairs.

    Returns:
        The complete manifest.

    Raises:
        InputError: if the directory holds another pair set, the disk is too small, the
            source ends early, or noise is not finite.
    """
    todo = {s.name for s in writer.prepare(directory, manifest, manifest.shards)}
    for split in (manifests.TRAIN, manifests.HELD_OUT):
        pairs = source.pairs(split)
        for shard in manifest.split(split):
            serialized = _records(pairs, manifest, shard)
            if shard.name in todo:
                writer.write_records(directory, manifest, shard, serialized)
            # Skips the pairs of a shard that exists already.
            collections.deque(serialized, maxlen=0)
    return writer.finish(directory, manifest)


def _records(
    pairs: Iterator[Pair], manifest: manifests.Manifest, shard: manifests.Shard
) -> Iterator[bytes]:
    """Serializes the next pairs, which are those of the shard."""
    for index in range(shard.first_index, shard.first_index + shard.pairs):
        try:
            z, image = next(pairs)
        except StopIteration:
            raise InputError(
                f"The source must hold {manifest.pairs.pairs:,} training pairs and "
                f"{manifest.pairs.held_out_pairs:,} held-out pairs, as its metadata "
                f"says. It ended in {shard.split} before pair {index:,}."
            ) from None
        if not np.isfinite(z).all():
            raise InputError(f"The noise of pair {index:,} must be finite.")
        yield records.encode(index, image, z, manifest.pairs.encoding)
