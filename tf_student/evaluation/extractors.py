"""Networks that give features: of TF-GAN, of a file, or of the digits."""

import dataclasses
import hashlib
import os
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tf_student.evaluation import digits_classifier, inception
from tf_student.evaluation.features import Extractor
from tf_student.evaluation.precision import full_float32
from tf_student.evaluation.tfgan import INCEPTION_SIZE, INCEPTION_TFHUB
from tf_student.runtime.errors import InputError, first_line
from tf_student.runtime.fixed_batches import FixedBatches

_OUTPUTS = ("pool_3", "logits")
_TORCH = (".pth", ".pt")

# From uint8 `[n, h, w, c]` to activations and logits.
Network = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class _Loaded:
    name: str
    identity: str
    network: Network
    shape: tuple[int, int, int] | None = None


def load(
    name: str,
    strategy: tf.distribute.Strategy,
    *,
    device_batch: int = 64,
    resize: str = "tf1",
) -> Extractor:
    """The extractor of that name, on all devices of a strategy.

    Args:
        name: `inception` (TF-GAN's, from TF Hub or its cache), `digits`, or the path
            of a SavedModel or a frozen graph (`.pb`) with TF-GAN's outputs `pool_3` and
            `logits`, or of `pt_inception-2015-12-05-6726825d.pth`.
        strategy: its replicas share each batch.
        device_batch: images that one device sees at once.
        resize: `tf1` or `pytorch_fid`: how images come to 299x299 before a `.pth`.

    Raises:
        InputError: if it is not to be had.
    """
    with strategy.scope():
        loaded = _open(name, resize)
    run = FixedBatches(strategy, tf.function(loaded.network), device_batch=device_batch)

    def checked(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        _check(loaded, images.shape[1:])
        with full_float32():
            activations, logits = run(images)
        if not np.isfinite(activations).all():
            raise InputError(f"{name} gave features that are NaN or infinite.")
        return activations, logits

    return Extractor(loaded.name, loaded.identity, checked)


def _check(loaded: _Loaded, shape: tuple[int, ...]) -> None:
    if loaded.shape and shape != loaded.shape:
        height, width, channels = loaded.shape
        assert channels == 1
        raise InputError(
            f"`extractor`={loaded.name} needs {height}x{width} images with one "
            f"channel. Received: {shape}."
        )
    if shape[-1] not in (1, 3):
        raise InputError(f"Images must have 1 or 3 channels. Received: {shape}.")


def _open(name: str, resize: str) -> _Loaded:
    if name == "digits":
        return _digits()
    if name == "inception":
        return _from_hub(name, INCEPTION_TFHUB, INCEPTION_TFHUB)
    path = name.rstrip("/")
    if path.endswith(_TORCH) and tf.io.gfile.exists(path):
        return _inception_of(path, resize)
    if path.endswith(".pb") and tf.io.gfile.exists(path):
        return _frozen(path)
    if tf.saved_model.contains_saved_model(path):
        return _from_hub(os.path.basename(path), path, _hash_of(path))
    raise InputError(
        "`extractor` must be inception, digits or the path of a SavedModel, a frozen "
        f"graph (.pb) or an Inception of PyTorch (.pth). Received: extractor={name}."
    )


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """TF-GAN's preprocessing: bilinear to 299x299, [-1, 1], three channels."""
    images = tf.image.resize(images, [INCEPTION_SIZE, INCEPTION_SIZE])
    images = (images - 127.5) / 127.5
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images


def _from_hub(name: str, handle: str, identity: str) -> _Loaded:
    import tensorflow_hub as hub

    try:
        module = hub.load(handle)
    # Whatever a download runs into; tensorflow_hub has no error of its own.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"The extractor {name} could not be loaded ({reason}). Give "
            f"--extractor the path of a local copy of {handle}, or set "
            "TFHUB_CACHE_DIR to a cache that holds it."
        ) from error
    outputs = module if callable(module) else module.signatures.get("serving_default")
    network = _named_outputs(name, outputs)
    # The graph refers to variables that the module keeps.
    network.module = module
    return _Loaded(name, identity, network)


def _named_outputs(name: str, outputs: Callable | None) -> Network:
    """A network from one of 299x299 images to a dictionary."""
    spec = tf.TensorSpec([None, INCEPTION_SIZE, INCEPTION_SIZE, 3], tf.float32)
    try:
        found = tf.function(outputs).get_concrete_function(spec).structured_outputs
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} must take float32 images [n, 299, 299, 3]: {first_line(error)}"
        ) from error
    if not isinstance(found, dict) or not set(_OUTPUTS) <= found.keys():
        raise InputError(f"{name} must have the outputs pool_3 and logits.")

    def network(images):
        values = outputs(preprocess(images))
        return tuple(_flat(values[key], images) for key in _OUTPUTS)

    return network


def _flat(values: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(values, [tf.shape(images)[0], -1])
    return tf.cast(flat, tf.float32)


def _frozen(path: str) -> _Loaded:
    graph = tf.compat.v1.GraphDef()
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            graph.ParseFromString(file.read())
        entry = _entry(graph)
        fields = [f"{name}:0" for name in _OUTPUTS]
        spec = tf.TensorSpec([None, INCEPTION_SIZE, INCEPTION_SIZE, 3], tf.float32)
        outputs = tf.compat.v1.wrap_function(
            lambda images: tf.graph_util.import_graph_def(
                graph, input_map={entry: images}, return_elements=fields, name=""
            ),
            [spec],
        )
    # protobuf's DecodeError, and what the graph's import finds.
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"{path} must be a frozen graph of one input with the outputs pool_3 and "
            f"logits. Received: {reason}"
        ) from error

    def network(images):
        return tuple(_flat(value, images) for value in outputs(preprocess(images)))

    return _Loaded(os.path.basename(path), _hash_of(path), network)


def _entry(graph: tf.compat.v1.GraphDef) -> str:
    """The graph's input: its placeholder, or what its nodes refer to and it lacks.

    TF-GAN's own frozen graph has no placeholder.
    """
    defined = {node.name for node in graph.node if node.op != "Placeholder"}
    referred = {
        name.lstrip("^").split(":")[0] for node in graph.node for name in node.input
    }
    entries = sorted(referred - defined)
    if len(entries) != 1:
        raise ValueError(f"inputs {', '.join(entries) or 'none'}")
    return f"{entries[0]}:0"


def _inception_of(path: str, resize: str) -> _Loaded:
    model = inception.load(path)
    prepare = inception.PREPROCESSING[resize]
    kernel = model.get_layer("fc").kernel

    def network(images):
        pool = model(prepare(images), training=False)[0]
        # Without the bias, as the Inception score was defined.
        return pool, tf.matmul(pool, kernel)

    identity = f"{_hash_of(path)} {resize}"
    return _Loaded(f"{os.path.basename(path)} ({resize})", identity, network)


def _digits() -> _Loaded:
    classifier = digits_classifier.load()
    both = keras.Model(
        classifier.inputs,
        [classifier.layers[-2].output, classifier.layers[-1].output],
    )
    digest = hashlib.sha256()
    for weight in classifier.get_weights():
        digest.update(weight.tobytes())

    def network(images):
        return tuple(both(tf.cast(images, tf.float32), training=False))

    return _Loaded("digits", f"digits {digest.hexdigest()}", network, (8, 8, 1))


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
        with tf.io.gfile.GFile(one, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"
