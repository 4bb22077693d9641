"""Feature extractors by name, on all devices of a strategy."""

import hashlib
import os

import numpy as np
import tensorflow as tf

from tf_student.evaluation import (
    digits_classifier,
    frozen_graph_extractor,
    hub_extractor,
    inception_weights,
)
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.feature_network import FeatureNetwork
from tf_student.evaluation.features import Extractor
from tf_student.evaluation.precision import full_float32
from tf_student.runtime import files
from tf_student.runtime.errors import InputError
from tf_student.runtime.fixed_batches import FixedBatches

_TORCH = (".pth", ".pt")


def from_config(config: EvaluateConfig, strategy: tf.distribute.Strategy) -> Extractor:
    """Loads the extractor that the options of an evaluation name, as `load`."""
    return load(
        config.extractor,
        strategy,
        device_batch=config.extractor_batch,
        resize=config.resize,
    )


def load(
    name: str,
    strategy: tf.distribute.Strategy,
    *,
    device_batch: int = 64,
    resize: str = "tf1",
) -> Extractor:
    """Loads an extractor onto all devices of a strategy.

    A SavedModel or a frozen graph is a program: TensorFlow runs whatever operations it
    holds, which can read and write files. Load only those that you trust.

    Args:
        name: `inception` (TF-GAN's, from TF Hub or its cache), `digits`, or the path of
            a SavedModel or a frozen graph (`.pb`) with TF-GAN's outputs `pool_3` and
            `logits`, or of `pt_inception-2015-12-05-6726825d.pth`.
        strategy: its replicas share each batch.
        device_batch: images that each device processes at once.
        resize: `tf1` or `pytorch_fid`, how images are resized to 299x299 for a `.pth`
            file.

    Returns:
        The extractor. Its `run` raises an `InputError` for images of a wrong shape and
        for features that are not finite.

    Raises:
        InputError: if the extractor is missing or cannot be loaded.
    """
    with strategy.scope():
        loaded = _open(name, resize)
    network = tf.function(loaded.network, autograph=False)
    batches = FixedBatches(strategy, network, device_batch=device_batch)

    def run(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _check_shape(loaded, images.shape[1:])
        with full_float32():
            activations, logits = batches(images)
        if not np.isfinite(activations).all():
            raise InputError(
                f"Features must be finite. Received: {name} with NaN or infinity."
            )
        return activations, logits

    return Extractor(loaded.name, loaded.identity, run)


def _check_shape(loaded: FeatureNetwork, shape: tuple[int, ...]) -> None:
    if loaded.shape and shape != loaded.shape:
        height, width, channels = loaded.shape
        assert channels == 1
        raise InputError(
            f"`extractor`={loaded.name} needs {height}x{width} images with one "
            f"channel. Received: {shape}."
        )
    if shape[-1] not in (1, 3):
        raise InputError(f"Images must have 1 or 3 channels. Received: {shape}.")


def _open(name: str, resize: str) -> FeatureNetwork:
    if name == "digits":
        return digits_classifier.feature_network()
    if name == "inception":
        address = hub_extractor.TFGAN_INCEPTION
        return hub_extractor.load(name, address, address)
    path = name.rstrip("/")
    if path.endswith(_TORCH) and tf.io.gfile.exists(path):
        return inception_weights.feature_network(path, resize, _hash_of(path))
    if path.endswith(".pb") and tf.io.gfile.exists(path):
        return frozen_graph_extractor.load(path, _hash_of(path))
    if tf.saved_model.contains_saved_model(path):
        return hub_extractor.load(os.path.basename(path), path, _hash_of(path))
    raise InputError(
        "`extractor` must be inception, digits or the path of a SavedModel, a frozen "
        f"graph (.pb) or a PyTorch Inception (.pth). Received: extractor={name}."
    )


def _hash_of(path: str) -> str:
    """SHA-256 of a file, or of all files below a folder."""
    paths = [path]
    if tf.io.gfile.isdir(path):
        walk = tf.io.gfile.walk(path)
        paths = sorted(
            os.path.join(at, name) for at, _, names in walk for name in names
        )
    digest = hashlib.sha256()
    for one in paths:
        digest.update(os.path.relpath(one, path).encode())
        for block in files.blocks(one):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"
