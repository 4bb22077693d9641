"""Compares an exported model with its network, through several loaders.

In a process without this package: the loader of TensorFlow 1, `saved_model_cli show`
and `saved_model_cli run`; and in C++ the function with which ModelServer loads.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import interpolation, noise
from tf_student.runtime import files
from tf_student.runtime.errors import VerificationError
from tf_student.serving import environment, native
from tf_student.serving.class_signatures import ANY
from tf_student.serving.signatures import LABELS

_SEEDS, _COUNT = (7, 8), 3
# The largest accepted distance in [-1, 1], for results near the middle of two uint8
# values. Half types round differently wherever the compiler fuses operations.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.05, "float16": 0.005}

_Inputs = dict[str, dict[str, np.ndarray | np.generic]]
# The images by loader and signature.
_Images = dict[tuple[str, str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Verification:
    """The result of a successful comparison.

    Attributes:
        loaders: the loaders whose images agree with the network's.
        distance: the largest distance in [-1, 1] that rounding to uint8 does not
            explain.
        skipped: whether C++ was skipped because no compiler is installed.
    """

    loaders: tuple[str, ...]
    distance: float
    skipped: bool = False

    def text(self) -> str:
        """The result as sentences for the terminal."""
        text = (
            f"The model draws the network's images in {', '.join(self.loaders)} "
            f"(largest difference: {self.distance:.1e})."
        )
        if self.skipped:
            text += " LoadSavedModel was skipped, because no C++ compiler is installed."
        return text


def verify(
    directory: str,
    generate: Callable[[network_inputs.Inputs], tf.Tensor],
    shape: tuple[int, int, int],
    *,
    classes: int = 0,
    dtype: str = "float32",
    library: str | None = None,
    thorough: bool = True,
) -> Verification:
    """Compares an exported version with its network.

    Args:
        directory: of the SavedModel; from an object store it is copied first.
        generate: the network, from float32 noise, or from the pair of noise and
            labels, to float images.
        shape: `(height, width, channels)` of an image.
        classes: number of classes of the model; 0: none.
        dtype: of the model; it determines the tolerance.
        library: shared library of the fused op, for a model that needs it.
        thorough: whether to use `saved_model_cli` and C++ too, and not only the loader
            of TensorFlow 1.

    Raises:
        VerificationError: if the model cannot be loaded or draws other images.
    """
    inputs = _inputs(shape, classes)
    expected = _expected(inputs, generate, shape)
    skipped = thorough and native.compiler() is None
    with tempfile.TemporaryDirectory() as scratch:
        local = local_copy(directory, scratch)
        try:
            images = _run_isolated(local, inputs, library, scratch, thorough)
            if thorough and not skipped:
                images |= _run_in_cpp(local, inputs, library, scratch)
        except RuntimeError as error:
            raise VerificationError(str(error)) from error
    largest = _largest_distance(directory, images, expected, TOLERANCE[dtype])
    loaders = tuple(dict.fromkeys(loader for loader, _ in images))
    return Verification(loaders, largest, skipped)


def local_copy(directory: str, scratch: str) -> str:
    """An absolute path of a local directory, or of a copy on the local disk."""
    if not files.is_remote(directory):
        return os.path.abspath(directory)
    copy = os.path.join(scratch, "model")
    for folder, _, names in tf.io.gfile.walk(directory):
        into = os.path.join(copy, folder[len(directory) :].strip("/"))
        os.makedirs(into, exist_ok=True)
        for name in names:
            tf.io.gfile.copy(os.path.join(folder, name), os.path.join(into, name))
    return copy


def _largest_distance(
    directory: str,
    images: _Images,
    expected: Mapping[str, np.ndarray],
    tolerance: float,
) -> float:
    """The largest distance, which must not exceed the tolerance."""
    distances = {
        (loader, name): _distance(image, expected[name])
        for (loader, name), image in images.items()
    }
    (loader, name), largest = max(distances.items(), key=lambda item: item[1])
    if not largest <= tolerance:
        raise VerificationError(
            f"`{name}` of {directory}, loaded by {loader}, must draw the network's "
            f"images. Expected: a difference of at most {tolerance:.0e} in [-1, 1], "
            f"received: {largest:.1e}."
        )
    return largest


def _inputs(shape: tuple[int, int, int], classes: int) -> _Inputs:
    """The inputs of each signature."""
    first, second = map(np.int64, _SEEDS)
    indices = noise.EVALUATION + np.arange(_COUNT)
    z = noise.normal(first, indices, shape).numpy()
    count = np.int32(_COUNT)
    walk = {"seed_a": first, "seed_b": second, "steps": count}
    if not classes:
        return {
            "serving_default": {"noise": z},
            "sample": {"seed": first, "count": count},
            "interpolate": walk,
        }
    labels = network_inputs.labels(first, indices, classes).numpy()
    # -1 asks for the classes that the seed draws.
    asked = np.where(np.arange(_COUNT) == 0, ANY, labels).astype(np.int32)
    return {
        "serving_default": {"noise": z, LABELS: labels},
        "sample": {"seed": first, LABELS: asked},
        "interpolate": {**walk, "label": np.int32(ANY)},
    }


def _expected(
    inputs: _Inputs,
    generate: Callable[[network_inputs.Inputs], tf.Tensor],
    shape: tuple[int, int, int],
) -> dict[str, np.ndarray]:
    """The network's images as floats in [0, 255], before rounding to uint8."""
    z = np.asarray(inputs["serving_default"]["noise"])
    other = noise.normal(_SEEDS[1], [noise.EVALUATION], shape)
    walk = interpolation.slerp(
        tf.constant(z[0]), tf.constant(other[0]), tf.linspace(0.0, 1.0, _COUNT)
    )
    draw = tf.function(lambda inputs: (generate(inputs) + 1.0) * 127.5, autograph=False)
    given = inputs["serving_default"].get(LABELS)
    labels = None if given is None else np.asarray(given)

    def clipped(z: tf.Tensor, labels: np.ndarray | None) -> np.ndarray:
        both = z if labels is None else (z, tf.constant(labels))
        return np.clip(draw(both).numpy(), 0.0, 255.0)

    drawn = clipped(tf.constant(z), labels)
    along = None if labels is None else np.repeat(labels[:1], _COUNT)
    return {
        "serving_default": drawn,
        "sample": drawn,
        "interpolate": clipped(walk, along),
    }


def _distance(image: np.ndarray, expected: np.ndarray) -> float:
    return float(distances(image, expected).max())


def distances(image: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """The distances in [-1, 1] beyond the half step of rounding to uint8.

    Args:
        image: uint8.
        expected: floats in [0, 255].

    Returns:
        Floats of this shape; infinity for an image of another shape or type.
    """
    if image.shape != expected.shape or image.dtype != np.uint8:
        return np.array([np.inf])
    beyond = np.abs(image - expected.astype(np.float64)) - 0.5
    return np.maximum(0.0, beyond / 127.5)


def _run_isolated(
    directory: str, inputs: _Inputs, library: str | None, scratch: str, thorough: bool
) -> _Images:
    paths = {name: os.path.join(scratch, f"{name}.npz") for name in inputs}
    for name, path in paths.items():
        np.savez(path, **inputs[name])  # type: ignore[arg-type]
    request = {
        "directory": directory,
        "inputs": paths,
        "library": library,
        # saved_model_cli cannot load a library.
        "commands": thorough and library is None,
        "results": os.path.join(scratch, "results.npz"),
    }
    results = _run_request(request, scratch)
    images = {("tf.compat.v1.saved_model.load", name): results[name] for name in paths}
    if request["commands"]:
        shown = str(results["show"])
        for name in inputs:
            if f"signature_def['{name}']" not in shown:
                raise RuntimeError(f"`saved_model_cli show` does not list {name}.")
        images["saved_model_cli", "sample"] = results["run"]
    return images


def _run_request(request: dict, scratch: str) -> dict[str, np.ndarray]:
    path = os.path.join(scratch, "request.json")
    with environment.without_this_package() as site:
        with open(path, "w") as file:
            json.dump({"site": site, **request}, file)
        environment.run_isolated(path)
    with np.load(request["results"]) as file:
        return dict(file)


def _run_in_cpp(
    directory: str, inputs: _Inputs, library: str | None, scratch: str
) -> _Images:
    program = os.path.join(scratch, "load_saved_model")
    native.build(program)
    requests, outputs = [], {}
    for name, values in inputs.items():
        outputs[name] = os.path.join(scratch, f"{name}.bin")
        words = [native.argument(key, value, scratch) for key, value in values.items()]
        requests.append(" ".join([name, outputs[name], *words]))
    statuses = native.run(program, directory, requests, library)
    images = {}
    for name, status in zip(inputs, statuses, strict=True):
        if not status.startswith("OK uint8 "):
            raise RuntimeError(f"`{name}` of {directory} failed in C++: {status}")
        shape = json.loads(status.removeprefix("OK uint8 "))
        image = np.fromfile(outputs[name], np.uint8)
        images["LoadSavedModel in C++", name] = image.reshape(shape)
    return images
