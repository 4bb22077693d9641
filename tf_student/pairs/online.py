"""Pairs that the teacher generates on demand; none are stored."""

import functools
import threading

import numpy as np
import tensorflow as tf
from absl import logging

from tf_student.data import streams
from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion.inputs import Inputs
from tf_student.pairs import fit_batches, manifests, order
from tf_student.pairs.interface import Sample


class OnlinePairs:
    """Pairs that the teacher generates on demand, in the order of a stored `PairSet`.

    Each training image is sampled in every epoch; the held-out images are sampled once
    and kept in memory. An image equals the stored one up to the rounding of kernels,
    because it shares its batch with different images.

    Args:
        manifest: describes the pairs as if they were stored.
        sample: from float32 noise `[n, *image_shape]` to uint8 images of that shape.
        batch: pairs to sample at once.

    Attributes:
        manifest: describes the pairs.
    """

    def __init__(self, manifest: manifests.Manifest, sample: Sample, *, batch: int):
        self.manifest = manifest
        self._sample, self._batch = sample, batch
        self._lock, self._closed = threading.Lock(), False

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the manifest, which has no digests of files."""
        return f"online-{manifests.fingerprint(self.manifest)}"

    def dataset(
        self, batch_size: int, *, seed: int = 0, max_pairs: int = 0
    ) -> tf.data.Dataset:
        """Training pairs for `keras.Model.fit`, as `PairSet.dataset`."""
        indices = order.reshuffled(
            self.manifest, self._read, seed=seed, max_pairs=max_pairs
        )
        return fit_batches.train_batches(
            self._sampled(indices).unbatch(),
            count=order.count(self.manifest, max_pairs),
            batch_size=batch_size,
        )

    def held_out_dataset(self, batch_size: int) -> tf.data.Dataset:
        """Held-out pairs for `validation_data`, as `PairSet.held_out_dataset`."""
        count = self.manifest.pairs.held_out_pairs
        return fit_batches.held_out_batches(
            self.held_out(), count=count, batch_size=batch_size
        )

    def train(
        self,
        *,
        seed: int,
        start: int,
        max_pairs: int = 0,
        part: streams.Part = streams.WHOLE,
    ) -> tf.data.Dataset:
        """Endless training pairs from a position on, as `PairSet.train`.

        They are sampled in the background while earlier pairs are trained on.
        """
        indices = order.endless(
            self.manifest,
            self._read,
            seed=seed,
            start=start,
            max_pairs=max_pairs,
            part=part,
        ).map(lambda position, index: index)
        return self._sampled(indices).unbatch()

    def held_out(self) -> tf.data.Dataset:
        """All held-out pairs once, in the order of their indices.

        Returns:
            A dataset of (noise float32, image uint8), `[height, width, channels]`; see
            `Pairs` for classes.
        """
        images = tf.data.Dataset.from_tensor_slices(self._held_out_images)
        seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
        classes = self.manifest.classes
        # Storing the noise would take four times the memory of the images.
        stream = tf.data.Dataset.zip(self._held_out_indices(), images).map(
            lambda index, image: (
                network_inputs.draw(seed, index, shape, classes),
                image,
            ),
            tf.data.AUTOTUNE,
        )
        return streams.untuned(stream)

    def diagnose(self) -> None:
        """Does nothing: no file can be damaged."""

    def close(self) -> None:
        """Waits for the batch that is being sampled, and stops sampling.

        Call it before Python ends: a background thread must not be inside the sampler
        then.
        """
        with self._lock:
            self._closed = True

    def _read(self, numbers: tf.Tensor) -> tf.data.Dataset:
        """Noise indices of some training shards, one of each shard in turn."""
        shards = self.manifest.split(manifests.TRAIN)
        first = tf.constant([s.first_index for s in shards], tf.int64)
        end = first + tf.constant([s.pairs for s in shards], tf.int64)
        ranges = tf.data.Dataset.from_tensor_slices(
            (tf.gather(first, numbers), tf.gather(end, numbers))
        )
        return ranges.interleave(
            tf.data.Dataset.range, cycle_length=order.WINDOW, block_length=1
        )

    def _held_out_indices(self) -> tf.data.Dataset:
        shards = self.manifest.split(manifests.HELD_OUT)
        first = shards[0].first_index
        return tf.data.Dataset.range(first, first + sum(s.pairs for s in shards))

    @functools.cached_property
    def _held_out_images(self) -> np.ndarray:
        count = self.manifest.pairs.held_out_pairs
        logging.info("Generating the %d held-out images.", count)
        batches = self._sampled(self._held_out_indices())
        return np.concatenate([images for _, images in batches.as_numpy_iterator()])

    def _sampled(self, indices: tf.data.Dataset) -> tf.data.Dataset:
        """Batches of (inputs, images) of indices; noise is drawn in the background."""
        seed, shape = self.manifest.pairs.pairs_seed, self.manifest.image_shape
        drawn = indices.batch(self._batch).map(
            lambda i: network_inputs.batch(seed, i, shape, self.manifest.classes),
            tf.data.AUTOTUNE,
        )

        def with_images(*inputs: tf.Tensor) -> tuple[Inputs, tf.Tensor]:
            images = tf.numpy_function(self._sample_batch, inputs, tf.uint8)
            images = tf.ensure_shape(images, inputs[0].shape)
            return _joined(inputs), images

        return streams.untuned(drawn.prefetch(1).map(with_images))

    def _sample_batch(self, *inputs: np.ndarray) -> np.ndarray:
        # Held-out and training pairs may be requested at once, from the same devices.
        with self._lock:
            if self._closed:
                raise RuntimeError("The pairs are closed.")
            return self._sample(_joined(inputs))


def _joined(inputs: tuple) -> Inputs:
    """Noise, or the pair of noise and labels, from one or two arrays."""
    return inputs if len(inputs) > 1 else inputs[0]
