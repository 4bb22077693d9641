"""Features that were extracted before, by the content of their images."""

import hashlib
import os
import zipfile
import zlib

import numpy as np
import tensorflow as tf

from tf_student.runtime import files

_DAMAGED = (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile, zlib.error)


class Cache:
    """A directory with a file for each chunk of images.

    A file's name is a hash of the images and of the extractor, so it can never be out
    of date; an evaluation that was cut off goes on behind its last chunk.

    Args:
        directory: made when something is put in.
        extractor: the extractor's identity.
    """

    def __init__(self, directory: str, extractor: str):
        self._directory, self._extractor = directory, extractor

    def key(self, images: np.ndarray) -> str:
        """The name under which the features of uint8 `[n, ...]` are kept."""
        head = f"{self._extractor} {images.dtype} {images.shape} "
        digest = hashlib.blake2b(head.encode(), digest_size=20)
        digest.update(np.ascontiguousarray(images))
        return digest.hexdigest()

    def get(self, key: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Activations and logits, or None where they are absent or damaged."""
        path = self._path(key)
        if not tf.io.gfile.exists(path):
            return None
        try:
            with tf.io.gfile.GFile(path, "rb") as file, np.load(file) as arrays:
                return arrays["activations"], arrays["logits"]
        except (*_DAMAGED, tf.errors.OpError):
            return None

    def put(self, key: str, features: tuple[np.ndarray, np.ndarray]) -> None:
        """Keeps features; the file appears whole."""
        tf.io.gfile.makedirs(self._directory)
        arrays = {"activations": features[0], "logits": features[1]}
        files.write_npz(self._path(key), arrays)

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, f"{key}.npz")
