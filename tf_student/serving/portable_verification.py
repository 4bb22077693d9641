"""Compares a file of another format with its network, through the format's runtime."""

import json
import os
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.diffusion import inputs as network_inputs
from tf_student.diffusion import noise
from tf_student.runtime.errors import VerificationError
from tf_student.serving import environment, portable
from tf_student.serving.signatures import LABELS
from tf_student.serving.verification import Verification, distances

# The largest accepted distance and root mean square of the distances, in [-1, 1].
# Rounding of the weights moves single pixels of an image much more than the others.
BOUNDS = {"float32": (1e-4, 1e-4), "float16": (0.1, 0.005), "int8": (0.5, 0.05)}
SEED, _COUNT = 7, 16
_LOADERS = {"litert": "LiteRT's interpreter", "onnx": "ONNX Runtime"}


def verify(
    path: str,
    form: str,
    layout: portable.Layout,
    generate: Callable[[network_inputs.Inputs], tf.Tensor],
) -> Verification:
    """Compares a file with its network, in a process without this package.

    Args:
        path: of the file, on any file system that TensorFlow supports.
        form: name of its format.
        layout: of the file.
        generate: the float32 network, from noise, or the pair of noise and labels, to
            float images.

    Raises:
        VerificationError: if the runtime cannot load the file or draws other images.
    """
    given = inputs(layout)
    try:
        drawn = _draw(path, form, given)
    except RuntimeError as error:
        raise VerificationError(str(error)) from error
    loader, dtype = _LOADERS[form], layout.about.dtype
    largest = check(path, drawn, expected(given, generate), loader, dtype)
    return Verification((loader,), largest)


def inputs(layout: portable.Layout) -> dict[str, np.ndarray]:
    """The noise of the first images of `SEED`, and their classes, by name."""
    count = layout.batch or min(_COUNT, layout.about.max_count)
    indices = noise.EVALUATION + np.arange(count)
    shape, classes = layout.about.image_shape, layout.about.classes
    given = {portable.NOISE: noise.normal(SEED, indices, shape).numpy()}
    if classes:
        given[LABELS] = network_inputs.labels(SEED, indices, classes).numpy()
    return given


def expected(
    given: dict[str, np.ndarray],
    generate: Callable[[network_inputs.Inputs], tf.Tensor],
) -> np.ndarray:
    """The network's images of `inputs` as floats in [0, 255], before rounding."""
    z, labels = tf.constant(given[portable.NOISE]), given.get(LABELS)
    both = z if labels is None else (z, tf.constant(labels))
    draw = tf.function(lambda both: (generate(both) + 1.0) * 127.5, autograph=False)
    return np.clip(draw(both).numpy(), 0.0, 255.0)


def _draw(path: str, form: str, given: dict[str, np.ndarray]) -> np.ndarray:
    """The images that the format's runtime draws in another process."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        environment.without_this_package() as site,
    ):
        request = {
            "site": site,
            "format": form,
            "file": os.path.join(scratch, "model"),
            "inputs": os.path.join(scratch, "inputs.npz"),
            "results": os.path.join(scratch, "results.npz"),
        }
        tf.io.gfile.copy(path, request["file"])
        np.savez(request["inputs"], **given)  # type: ignore[arg-type]
        name = os.path.join(scratch, "request.json")
        with open(name, "w") as file:
            json.dump(request, file)
        environment.run_isolated(name, "portable_process.py")
        with np.load(request["results"]) as results:
            return results["images"]


def check(
    path: str, drawn: np.ndarray, expected: np.ndarray, loader: str, dtype: str
) -> float:
    """The largest distance, which must be within the bounds of the dtype.

    Args:
        path: of the model, for the error.
        drawn: uint8 images that the loader drew.
        expected: the network's images.
        loader: its name, for the error.
        dtype: of the stored weights.

    Raises:
        VerificationError: if the images differ more.
    """
    apart = distances(drawn, expected)
    received = float(apart.max()), float(np.sqrt(np.mean(apart**2)))
    bounds = BOUNDS[dtype]
    if not all(value <= bound for value, bound in zip(received, bounds, strict=True)):
        raise VerificationError(
            f"{path}, loaded by {loader}, must draw the network's images. "
            f"Expected: a difference of at most {bounds[0]:.0e} in [-1, 1], root mean "
            f"square {bounds[1]:.0e}, received: {received[0]:.1e}, {received[1]:.1e}."
        )
    return received[0]
