"""A cache of extracted features, keyed by the content of their images."""

import hashlib
import os

import numpy as np
import tensorflow as tf

from tf_student.runtime import files
from tf_student.runtime.errors import InputError


class Cache:
    """A directory with one file for each chunk of images.

    The name of a file is a hash of the images and of the extractor, so that an entry
    never becomes outdated. An interrupted evaluation continues after its last chunk.

    Args:
        directory: created when the first features are stored.
        extractor: identity of the extractor.
    """

    def __init__(self, directory: str, extractor: str):
        self._directory, self._extractor = directory, extractor

    def key(self, images: np.ndarray) -> str:
        """The key of the features of images, uint8 `[n, ...]`."""
        head = f"{self._extractor} {images.dtype} {images.shape} "
        digest = hashlib.blake2b(head.encode(), digest_size=20)
        digest.update(np.ascontiguousarray(images).data)
        return digest.hexdigest()

    def get(self, key: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Activations and logits, or None where they are absent or damaged."""
        path = self._path(key)
        if not tf.io.gfile.exists(path):
            return None
        try:
            with files.open_npz(path) as arrays:
                return arrays["activations"], arrays["logits"]
        except (InputError, tf.errors.NotFoundError):
            return None

    def put(self, key: str, features: tuple[np.ndarray, np.ndarray]) -> None:
        """Stores activations and logits atomically."""
        tf.io.gfile.makedirs(self._directory)
        arrays = {"activations": features[0], "logits": features[1]}
        files.write_npz(self._path(key), arrays)

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, f"{key}.npz")
