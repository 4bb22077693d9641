"""Pairs that the teacher makes when they are asked for; none is stored."""

import functools
import threading
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from tf_student.data import streams
from tf_student.diffusion import noise
from tf_student.pairs import manifests, order


class OnlinePairs:
    """The pairs of a set that is not there: the streams of its `PairSet`, made anew.

    Each image is sampled again in every epoch, except the held-out ones, which are kept
    in memory. An image is the stored one up to the rounding of the kernels, for it
    shares its batch with others.

    Args:
        manifest: what the set would be.
        sample: from float32 noise `[n, *image_shape]` to uint8 images of that shape.
        batch: pairs to sample at once.
    """

    def __init__(
        self,
        manifest: manifests.Manifest,
        sample: Callable[[np.ndarray], np.ndarray],
        *,
        batch: int,
    ):
        self.manifest = manifest
        self._sample, self._batch = sample, batch
        self._lock, self._closed = threading.Lock(), False

    @property
    def fingerprint(self) -> str:
        """Of the set that is not stored; without the digests of its files."""
        return f"online-{manifests.fingerprint(self.manifest)}"

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless training pairs from a position on, as `PairSet.train`.

        They are sampled in the background, while the pairs before them are trained on.
        """
        shards = self.manifest.split(manifests.TRAIN)
        firsts = tf.constant([shard.first_index for shard in shards], tf.int64)
        counts = tf.constant([shard.pairs for shard in shards], tf.int64)

        def read(numbers):
            first = tf.gather(firsts, numbers)
            ranges = tf.data.Dataset.from_tensor_slices(
                (first, first + tf.gather(counts, numbers))
            )
            return ranges.interleave(
                tf.data.Dataset.range, cycle_length=order.WINDOW, block_length=1
            )

        indices = order.endless(
            self.manifest, read, seed=seed, start=start, max_pairs=max_pairs, part=part
        ).map(lambda position, index: index)
        return self._batches(indices).unbatch()

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in their order: (noise, image) as in `train`."""
        images = tf.data.Dataset.from_tensor_slices(self._held_out_images)
        seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
        # The noise would take four times the images' memory.
        stream = tf.data.Dataset.zip(self._held_out_indices(), images).map(
            lambda index, image: (noise.draw(seed, index, shape), image),
            tf.data.AUTOTUNE,
        )
        return streams.untuned(stream)

    def diagnose(self) -> None:
        """Finds nothing: what is not stored cannot be damaged."""

    def close(self) -> None:
        """Waits for the batch that is being sampled, and makes no more.

        Python must not end while a thread of a stream is within the sampler.
        """
        with self._lock:
            self._closed = True

    def _held_out_indices(self) -> tf.data.Dataset:
        shards = self.manifest.split(manifests.HELD_OUT)
        first = shards[0].first_index
        return tf.data.Dataset.range(first, first + sum(s.pairs for s in shards))

    @functools.cached_property
    def _held_out_images(self) -> np.ndarray:
        count = self.manifest.pairs.held_out_pairs
        logging.info("Making the %d held-out images.", count)
        batches = self._batches(self._held_out_indices())
        return np.concatenate([images for _, images in batches.as_numpy_iterator()])

    def _batches(self, indices: tf.data.Dataset) -> tf.data.Dataset:
        """(noise, images) of a dataset of indices; noise is drawn while one samples."""
        seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
        drawn = indices.batch(self._batch).map(
            lambda i: noise.normal(seed, i, shape), tf.data.AUTOTUNE
        )

        def with_images(z):
            made = tf.numpy_function(self._make, [z], tf.uint8)
            return z, tf.ensure_shape(made, z.shape)

        return streams.untuned(drawn.prefetch(1).map(with_images))

    def _make(self, z: np.ndarray) -> np.ndarray:
        # Held-out and training pairs may be asked for at once; the devices are the
        # same.
        with self._lock:
            if self._closed:
                raise RuntimeError("The pairs are closed.")
            return self._sample(z)
