"""Finds out whether a pair set is what its manifest says."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.pairs import manifests, records, shard_index
from tf_student.runtime import files

# Other kernels and other batches round otherwise, which fifty calls amplify; another
# image is dozens of levels away.
_LEVELS = 4.0


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is wrong, and how it compares with the teacher.

    Attributes:
        missing: names of shards that are not there.
        damaged: names of shards whose bytes changed, whose records cannot be read, or
            whose images are not what the teacher makes.
        compared: images that the teacher made again.
        differing: share of their values that came out differently.
        largest: difference of a value, of 255.
    """

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    compared: int
    differing: float
    largest: int

    @property
    def to_make(self) -> list[str]:
        """Names of the shards to make again."""
        return [*self.missing, *self.damaged]

    def text(self) -> str:
        """One line for the terminal."""
        images = (
            f"{self.compared} images made again by the teacher, "
            f"{self.differing:.2%} of their values different, by {self.largest} at most"
        )
        if not self.to_make:
            return f"All shards are there and whole; {images}."
        return (
            f"{len(self.missing)} shards are missing and {len(self.damaged)} damaged "
            f"({images}): {', '.join(self.to_make)}."
        )


def check(
    directory: str,
    sample: Callable[[np.ndarray], np.ndarray],
    *,
    images: int,
) -> Findings:
    """Compares every shard's digest, and some images with what `sample` gives.

    Args:
        directory: of the set.
        sample: from float32 noise to uint8 images.
        images: to compare, spread over the shards; none of a set made elsewhere.

    Raises:
        InputError: if this TensorFlow draws other noise than the one that made it.
    """
    manifest = manifests.read(directory)
    manifests.check_noise(directory, manifest)
    shards = shard_index.finished(directory, manifest)
    missing = [s.name for s in manifest.shards if s.name not in shards]
    damaged = [
        name
        for name, shard in shards.items()
        if files.sha256(os.path.join(directory, name)) != (shard.sha256, shard.size)
    ]
    whole = [shard for name, shard in shards.items() if name not in damaged]
    chosen = {}
    for shard, count in _spread(whole, 0 if manifest.imported else images):
        pairs = _some(directory, manifest, shard, min(count, shard.pairs))
        if pairs is None:
            damaged.append(shard.name)
        else:
            chosen[shard.name] = pairs
    apart = _compare(chosen, sample)
    damaged += [name for name, part in apart.items() if part.mean() > _LEVELS]
    values = np.concatenate([part.ravel() for part in apart.values()] or [[0]])
    return Findings(
        tuple(missing),
        tuple(damaged),
        sum(len(part) for part in apart.values()),
        float(np.mean(values > 0)),
        int(values.max()),
    )


def _compare(chosen, sample) -> dict[str, np.ndarray]:
    """How far the images of each shard are from those made again, all at once."""
    if not chosen:
        return {}
    again = sample(np.concatenate([z for z, _ in chosen.values()])).astype(int)
    ends = np.cumsum([len(z) for z, _ in chosen.values()])[:-1]
    return {
        name: np.abs(part - images)
        for (name, (_, images)), part in zip(
            chosen.items(), np.split(again, ends), strict=True
        )
    }


def _spread(shards: list, images: int) -> list[tuple[manifests.Shard, int]]:
    """Shards from first to last, and how many images to take of each."""
    count = min(len(shards), images)
    if not count:
        return []
    places = np.linspace(0, len(shards) - 1, count).astype(int)
    return [
        (shards[place], images // count + (number < images % count))
        for number, place in enumerate(places)
    ]


def _some(directory, manifest, shard, count):
    """Noise and images of a shard's first pairs; None if they cannot be read."""
    found = tf.data.TFRecordDataset(os.path.join(directory, shard.name)).take(count)
    try:
        pairs = [records.decode(record, manifest) for record in found]
    except tf.errors.OpError:
        return None
    indices = [int(pair["index"]) for pair in pairs]
    if indices != list(range(shard.first_index, shard.first_index + count)):
        return None
    if manifest.pairs.store_noise:
        z = np.stack([pair["noise"] for pair in pairs])
    else:
        seed, shape = manifest.pairs.pairs_seed, manifest.image_shape
        z = noise.normal(seed, indices, shape).numpy()
    return z, np.stack([pair["image"] for pair in pairs])
