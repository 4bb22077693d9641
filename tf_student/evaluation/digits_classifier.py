"""A small classifier of the embedded digits, which is trained on first use."""

import contextlib
import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from tf_student.data import datasets
from tf_student.evaluation.feature_network import FeatureNetwork
from tf_student.runtime import files, leftovers
from tf_student.runtime.errors import first_line

# Part of the file name in the cache. Increase it when the classifier changes.
_VERSION = 1
_INPUT, _OUTPUT = (None, 8, 8, 1), (None, 10)


def feature_network() -> FeatureNetwork:
    """The classifier's last hidden layer and logits, for 8x8 images."""
    classifier = load()
    outputs = keras.Model(
        classifier.inputs,
        [classifier.layers[-2].output, classifier.layers[-1].output],
    )
    digest = hashlib.sha256()
    for weight in classifier.get_weights():
        digest.update(weight.tobytes())

    def network(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tuple(outputs(tf.cast(images, tf.float32), training=False))

    return FeatureNetwork("digits", f"digits {digest.hexdigest()}", network, (8, 8, 1))


def load() -> keras.Model:
    """Loads the classifier from the cache, or trains it and stores it there.

    A damaged file in the cache is replaced. Of several processes that train it at the
    same time, all use the first one that is stored.
    """
    directory, name = cache_directory(), f"digits-{_VERSION}.keras"
    path = os.path.join(directory, name)
    if stored := _stored(path):
        return stored
    os.makedirs(directory, exist_ok=True)
    classifier = train()
    if stored := _stored(path):
        return stored
    with (
        leftovers.tidied(directory, {name}.__contains__),
        files.replacing(path) as temporary,
        tempfile.TemporaryDirectory() as scratch,
    ):
        # Keras requires its own suffix.
        local = os.path.join(scratch, name)
        classifier.save(local)
        shutil.copyfile(local, temporary)
    return _read(path)


def _stored(path: str) -> keras.Model | None:
    """The classifier in the cache; None if there is none, or a damaged file."""
    if not os.path.exists(path):
        return None
    try:
        return _read(path)
    # Keras raises many types for a damaged file.
    except Exception as error:
        reason = first_line(error)
        logging.warning("%s is damaged and is replaced (%s).", path, reason)
        return None


def _read(path: str) -> keras.Model:
    classifier = keras.models.load_model(path)
    if (classifier.input_shape, classifier.output_shape) != (_INPUT, _OUTPUT):
        raise ValueError("it is another network")
    return classifier


def cache_directory() -> str:
    """`$TF_STUDENT_CACHE`, or else a folder in the user's cache directory."""
    user = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return os.environ.get("TF_STUDENT_CACHE", os.path.join(user, "tf_student"))


def train() -> keras.Model:
    """Trains a classifier, from uint8 images `[n, 8, 8, 1]` to 10 logits."""
    with _random_states_kept():
        keras.utils.set_random_seed(0)
        return _train()


@contextlib.contextmanager
def _random_states_kept() -> Iterator[None]:
    """Restores the states of Python and NumPy, from which Keras draws its seeds.

    Otherwise networks that are made later would have other weights if the classifier
    was in the cache.
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _train() -> keras.Model:
    images, labels = datasets.digits()
    conv = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    classifier = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(32, **conv),
            keras.layers.Conv2D(64, **conv),
            keras.layers.MaxPool2D(),
            keras.layers.Conv2D(64, **conv),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile("adam", loss)
    classifier.fit(images, labels, batch_size=64, epochs=20, verbose=0)
    return classifier
