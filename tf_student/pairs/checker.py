"""Checks whether a pair set is what its manifest says."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.diffusion.inputs import Inputs
from tf_student.pairs import manifests, records, shard_index
from tf_student.pairs.interface import Sample
from tf_student.runtime import files

# Mean difference, of 255, above which an image is another one. Other kernels and other
# batches round differently, which fifty network calls amplify; another image differs by
# dozens of levels.
_LEVELS = 4.0


@dataclasses.dataclass(frozen=True)
class Findings:
    """Missing and damaged shards, and a comparison with the teacher's images.

    Attributes:
        missing: names of shards that are missing.
        damaged: names of shards whose bytes changed, whose records cannot be read, or
            whose images are not the teacher's.
        compared: number of images that the teacher re-generated.
        differing: share of their values that differ, in [0, 1].
        largest: largest difference of a value, of 255.
    """

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    compared: int
    differing: float
    largest: int

    @property
    def to_generate(self) -> list[str]:
        """Names of the shards to generate or re-generate."""
        return [*self.missing, *self.damaged]

    def text(self) -> str:
        """One line for the terminal."""
        images = (
            f"the teacher re-generated {self.compared} images, and "
            f"{self.differing:.2%} of their values differ, by at most {self.largest}"
        )
        if not self.to_generate:
            return f"All shards are complete and intact; {images}."
        return (
            f"{len(self.missing)} shards are missing and {len(self.damaged)} are "
            f"damaged ({images}): {', '.join(self.to_generate)}."
        )


def check(directory: str, sample: Sample, *, images: int) -> Findings:
    """Compares the digest of every shard, and some images with those of `sample`.

    Args:
        directory: directory of the set.
        sample: the teacher's sampler.
        images: number of images to compare, spread over the shards; the images of an
            imported set are not compared.

    Raises:
        InputError: if this TensorFlow draws different noise than the set's.
    """
    manifest = manifests.read(directory)
    manifests.check_noise(directory, manifest)
    finished = shard_index.finished(directory, manifest)
    missing = [s.name for s in manifest.shards if s.name not in finished]
    damaged, intact = [], []
    for name, shard in finished.items():
        try:
            found = files.sha256(os.path.join(directory, name))
        # Another process has removed it, to re-generate it.
        except tf.errors.NotFoundError:
            missing.append(name)
            continue
        if found == (shard.sha256, shard.size):
            intact.append(shard)
        else:
            damaged.append(name)
    chosen = {}
    for shard, count in _spread(intact, 0 if manifest.imported else images):
        pairs = _first_pairs(directory, manifest, shard, min(count, shard.pairs))
        if pairs is None:
            damaged.append(shard.name)
        else:
            chosen[shard.name] = pairs
    errors = _errors(chosen, sample)
    damaged += [name for name, part in errors.items() if part.mean() > _LEVELS]
    values = np.concatenate([part.ravel() for part in errors.values()] or [np.zeros(1)])
    return Findings(
        tuple(missing),
        tuple(damaged),
        sum(len(part) for part in errors.values()),
        float(np.mean(values > 0)),
        int(values.max()),
    )


def _errors(
    chosen: dict[str, tuple[Inputs, np.ndarray]], sample: Sample
) -> dict[str, np.ndarray]:
    """Absolute differences of stored and re-generated images, by shard."""
    if not chosen:
        return {}
    # All at once, because a sampler pads a batch to its fixed size.
    inputs = [part for part, _ in chosen.values()]
    joined = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *inputs)
    images = sample(joined).astype(int)
    ends = np.cumsum([len(stored) for _, stored in chosen.values()])[:-1]
    return {
        name: np.abs(part - stored)
        for (name, (_, stored)), part in zip(
            chosen.items(), np.split(images, ends), strict=True
        )
    }


def _spread(
    shards: Sequence[manifests.Shard], images: int
) -> list[tuple[manifests.Shard, int]]:
    """Shards from first to last, with the number of images to take from each."""
    count = min(len(shards), images)
    if not count:
        return []
    places = np.linspace(0, len(shards) - 1, count).astype(int)
    return [
        (shards[place], images // count + (number < images % count))
        for number, place in enumerate(places)
    ]


def _first_pairs(
    directory: str, manifest: manifests.Manifest, shard: manifests.Shard, count: int
) -> tuple[Inputs, np.ndarray] | None:
    """Inputs and images of a shard's first pairs; None if they cannot be read."""
    serialized = tf.data.TFRecordDataset(os.path.join(directory, shard.name))
    try:
        pairs = [records.decode(r, manifest) for r in serialized.take(count)]
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
    images = np.stack([pair["image"] for pair in pairs])
    if not manifest.classes:
        return z, images
    return (z, np.stack([pair["label"] for pair in pairs])), images
