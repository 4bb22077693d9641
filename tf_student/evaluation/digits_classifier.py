"""A small classifier of the embedded digits, trained where it is first needed."""

import os

import keras

from tf_student.data import datasets
from tf_student.runtime import files

# Part of the cache's file name: raise it when the classifier changes.
_VERSION = 1


def load() -> keras.Model:
    """The classifier; its last two layers give features and logits."""
    path = os.path.join(cache_directory(), f"digits-{_VERSION}.keras")
    if not os.path.exists(path):
        os.makedirs(cache_directory(), exist_ok=True)
        network = train()
        with files.replacing(path) as temporary:
            # Keras insists on its suffix.
            network.save(f"{temporary}.keras")
            os.rename(f"{temporary}.keras", temporary)
    return keras.models.load_model(path)


def cache_directory() -> str:
    """Where it is kept: $TF_STUDENT_CACHE, else the user's cache."""
    user = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return os.environ.get("TF_STUDENT_CACHE", os.path.join(user, "tf_student"))


def train() -> keras.Model:
    """A new one; its last hidden layer is the features."""
    keras.utils.set_random_seed(0)
    images, labels = datasets.digits()
    conv = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    network = keras.Sequential(
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
    network.compile("adam", loss)
    network.fit(images, labels, batch_size=64, epochs=20, verbose=0)
    return network
