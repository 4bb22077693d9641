"""Whether an exported model answers what its network does, wherever it is loaded.

In a process that has TensorFlow and not this package, `saved_model_cli show` and `run`
and version 1's loader; and in C++ the function that ModelServer loads with.
"""

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.diffusion import interpolation, noise
from tf_student.runtime.errors import VerificationError
from tf_student.serving import environment, native

# Seeds, their number, and how far values in [-1, 1] may be off: a uint8 that is not the
# nearest one is next to a tie then. Half types round with every fused operation.
_SEEDS, _COUNT = (7, 8), 3
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.05, "float16": 0.005}


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        loaders: that agreed.
        distance: the largest in [-1, 1], beyond what rounding to uint8 explains.
        skipped: whether C++ was left out for want of a compiler.
    """

    loaders: tuple[str, ...]
    distance: float
    skipped: bool = False

    def text(self) -> str:
        """For the terminal."""
        text = (
            f"The network's images come from {', '.join(self.loaders)} "
            f"(to {self.distance:.1e})."
        )
        if self.skipped:
            text += " There is no C++ compiler for LoadSavedModel."
        return text


def verify(
    directory: str,
    generate: Callable[[tf.Tensor], tf.Tensor],
    shape: tuple[int, int, int],
    *,
    dtype: str = "float32",
    library: str | None = None,
    thorough: bool = True,
) -> Verification:
    """Compares a version with the network that it was made of.

    Args:
        directory: of the SavedModel, on a local disk.
        generate: the network, from float32 noise to float images.
        shape: of an image.
        dtype: says how close the images must be.
        library: of the fused op, if the model needs it.
        thorough: whether to go beyond one loader in Python: to saved_model_cli and, if
            there is a compiler, to C++.

    Raises:
        VerificationError: if the model cannot be loaded or answers something else.
    """
    inputs = _inputs(shape)
    expected = _expected(inputs, generate, shape)
    skipped = thorough and native.compiler() is None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            answers = _in_isolation(directory, inputs, library, scratch, thorough)
            if thorough and not skipped:
                answers |= _in_cpp(directory, inputs, library, scratch)
        except RuntimeError as error:
            raise VerificationError(str(error)) from error
    worst = _largest(directory, answers, expected, TOLERANCE[dtype])
    loaders = tuple(dict.fromkeys(loader for loader, _ in answers))
    return Verification(loaders, worst, skipped)


def _largest(directory, answers, expected, tolerance) -> float:
    """The largest distance of all answers, which is at most the tolerance."""
    distances = {
        (loader, name): _distance(image, expected[name])
        for (loader, name), image in answers.items()
    }
    (loader, name), worst = max(distances.items(), key=lambda item: item[1])
    if not worst <= tolerance:
        raise VerificationError(
            f"`{name}` of {directory}, loaded by {loader}, is not what the network "
            f"draws. Expected: within {tolerance:.0e} in [-1, 1], received: "
            f"{worst:.1e}."
        )
    return worst


def _inputs(shape) -> dict[str, dict[str, np.ndarray]]:
    first, second = map(np.int64, _SEEDS)
    z = noise.normal(first, noise.EVALUATION + np.arange(_COUNT), shape).numpy()
    count = np.int32(_COUNT)
    return {
        "serving_default": {"noise": z},
        "sample": {"seed": first, "count": count},
        "interpolate": {"seed_a": first, "seed_b": second, "steps": count},
    }


def _expected(inputs, generate, shape) -> dict[str, np.ndarray]:
    """Images as floats in [0, 255]: what uint8 rounds."""
    z = inputs["serving_default"]["noise"]
    other = noise.normal(_SEEDS[1], [noise.EVALUATION], shape)
    walk = interpolation.slerp(
        tf.constant(z[0]), tf.constant(other[0]), tf.linspace(0.0, 1.0, _COUNT)
    )
    draw = tf.function(lambda z: (generate(z) + 1.0) * 127.5)
    drawn = np.clip(draw(tf.constant(z)).numpy(), 0.0, 255.0)
    return {
        "serving_default": drawn,
        "sample": drawn,
        "interpolate": np.clip(draw(walk).numpy(), 0.0, 255.0),
    }


def _distance(image: np.ndarray, expected: np.ndarray) -> float:
    if image.shape != expected.shape or image.dtype != np.uint8:
        return float("inf")
    beyond = np.abs(image - expected.astype(np.float64)) - 0.5
    return max(0.0, float(beyond.max()) / 127.5)


def _in_isolation(directory, inputs, library, scratch, thorough) -> dict:
    paths = {name: os.path.join(scratch, f"{name}.npz") for name in inputs}
    for name, path in paths.items():
        np.savez(path, **inputs[name])
    with environment.without_this_package() as site:
        request = {
            "site": site,
            "directory": os.path.abspath(directory),
            "inputs": paths,
            "library": library,
            # The command cannot load a library.
            "commands": thorough and library is None,
            "results": os.path.join(scratch, "results.npz"),
        }
        path = os.path.join(scratch, "request.json")
        with open(path, "w") as file:
            json.dump(request, file)
        environment.run_isolated(path)
    with np.load(request["results"]) as file:
        results = dict(file)
    answers = {("tf.compat.v1.saved_model.load", name): results[name] for name in paths}
    if request["commands"]:
        shown = str(results["show"])
        for name in inputs:
            if f"signature_def['{name}']" not in shown:
                raise RuntimeError(f"`saved_model_cli show` does not list {name}.")
        answers["saved_model_cli", "sample"] = results["run"]
    return answers


def _in_cpp(directory, inputs, library, scratch) -> dict:
    program = os.path.join(scratch, "load_saved_model")
    native.build(program)
    requests, outputs = [], {}
    for name, values in inputs.items():
        outputs[name] = os.path.join(scratch, f"{name}.bin")
        words = [native.argument(key, value, scratch) for key, value in values.items()]
        requests.append(" ".join([name, outputs[name], *words]))
    statuses = native.run(program, os.path.abspath(directory), requests, library)
    answers = {}
    for name, status in zip(inputs, statuses, strict=True):
        if not status.startswith("OK uint8 "):
            raise RuntimeError(f"`{name}` of {directory} ended in C++ with: {status}")
        shape = json.loads(status.removeprefix("OK uint8 "))
        image = np.fromfile(outputs[name], np.uint8)
        answers["LoadSavedModel in C++", name] = image.reshape(shape)
    return answers
