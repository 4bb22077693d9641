"""Feature extractors: what FID, KID and IS see of an image."""

import dataclasses
import os
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from tf_student import datasets, files
from tf_student.errors import InputError
from tf_student.evaluation.tfgan import INCEPTION_SIZE, INCEPTION_TFHUB

# Part of the cache's file name: raise it when the digits classifier changes.
_DIGITS_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of n images.

    Attributes:
        activations: float64 `[n, dimensions]`.
        logits: float64 `[n, classes]`.
    """

    activations: np.ndarray
    logits: np.ndarray


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A named network.

    Attributes:
        name: for reports.
        run: from uint8 `[batch, height, width, channels]` to (activations, logits).
    """

    name: str
    run: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

    def extract(self, batches: Iterable[np.ndarray]) -> Features:
        """Features of batches of uint8 images; one batch is in memory at a time."""
        activations, logits = [], []
        for batch in batches:
            outputs = self.run(tf.convert_to_tensor(batch))
            activations.append(outputs[0].numpy().astype(np.float64))
            logits.append(outputs[1].numpy().astype(np.float64))
        return Features(np.concatenate(activations), np.concatenate(logits))


def load(name: str) -> Extractor:
    """The extractor of that name.

    Args:
        name: `inception` (TF-GAN's, from TF Hub or its cache), `digits`, or the path
            of a SavedModel with TF-GAN's outputs `pool_3` and `logits`.

    Raises:
        InputError: if it is not to be had.
    """
    if name == "digits":
        return _digits()
    if name == "inception":
        return _from_hub(name, INCEPTION_TFHUB)
    if not tf.saved_model.contains_saved_model(name):
        raise InputError(
            "`extractor` must be inception, digits or the path of a SavedModel. "
            f"Received: extractor={name}."
        )
    return _from_hub(os.path.basename(name.rstrip("/")), name)


def _from_hub(name: str, handle: str) -> Extractor:
    import tensorflow_hub as hub

    try:
        network = hub.load(handle)
    # Whatever a download runs into; tensorflow_hub has no error of its own.
    except Exception as error:
        reason = (str(error) or repr(error)).strip().splitlines()[0]
        raise InputError(
            f"The extractor {name} could not be loaded ({reason}). Give "
            f"--extractor the path of a local copy of {handle}, or set "
            "TFHUB_CACHE_DIR to a cache that holds it."
        ) from error
    outputs = network if callable(network) else network.signatures["serving_default"]

    @tf.function(reduce_retracing=True)
    def run(images):
        # TF-GAN's preprocessing: bilinear to 299x299, [-1, 1], three channels.
        images = tf.image.resize(images, [INCEPTION_SIZE, INCEPTION_SIZE])
        images = (images - 127.5) / 127.5
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        return outputs(images)

    def checked(images):
        values = run(images)
        if not isinstance(values, dict) or not {"pool_3", "logits"} <= values.keys():
            raise InputError(f"{name} must have the outputs pool_3 and logits.")
        flat = [tf.reshape(values[k], [len(images), -1]) for k in ("pool_3", "logits")]
        return tuple(flat)

    return Extractor(name, checked)


def _digits() -> Extractor:
    path = os.path.join(cache_directory(), f"digits-{_DIGITS_VERSION}.keras")
    if not os.path.exists(path):
        os.makedirs(cache_directory(), exist_ok=True)
        network = _train_digits()
        with files.replacing(path) as temporary:
            # Keras insists on its suffix.
            network.save(f"{temporary}.keras")
            os.rename(f"{temporary}.keras", temporary)
    network = keras.models.load_model(path)
    both = keras.Model(
        network.inputs, [network.layers[-2].output, network.layers[-1].output]
    )

    @tf.function(reduce_retracing=True)
    def compiled(images):
        return both(tf.cast(images, tf.float32), training=False)

    # AutoGraph would wrap an error in its own.
    def run(images):
        if images.shape[1:] != (8, 8, 1):
            raise InputError(
                "`extractor`=digits needs 8x8 images with one channel. "
                f"Received: {images.shape[1:]}."
            )
        return compiled(images)

    return Extractor("digits", run)


def cache_directory() -> str:
    """Where trained extractors are kept: $TF_STUDENT_CACHE, else the user's cache."""
    user = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    return os.environ.get("TF_STUDENT_CACHE", os.path.join(user, "tf_student"))


def _train_digits() -> keras.Model:
    """A small classifier of the digits; its last hidden layer is the features."""
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
