"""Times an exported student against the network in process, and measures the export.

    python benchmarks/serving.py [--preset=cifar10] [--rounds=7] [--ops=stock]

Weights are random: times do not depend on them. The loaded SavedModel and the network
in process, with the same operations and with the fused op, take turns; ratios are of
the least times. A cold load is that of a process of its own, from `tf.saved_model.load`
to the first image, beside what importing TensorFlow took; in C++, where there is a
compiler, from the start of the process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student import __version__
from tf_student.data import images
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.serving import native
from tf_student.serving.metadata import Metadata
from tf_student.serving.saved_model import export
from tf_student.serving.signatures import ServedModel

_BATCHES = (1, 64)
_COLD = """
import sys, time
begun = time.perf_counter()
import tensorflow as tf
imported = time.perf_counter()
sample = tf.saved_model.load(sys.argv[1]).signatures["sample"]
loaded = time.perf_counter()
sample(seed=tf.constant(0, tf.int64), count=tf.constant(1))["images"].numpy()
done = time.perf_counter()
print(imported - begun, loaded - imported, done - loaded)
"""


def make_export(student: Student, preset: str, which: str, base: str) -> str:
    """Writes the student as a version."""
    shape = student.unet.config.image_shape
    about = Metadata(
        name=preset,
        network="student",
        preset=preset,
        network_calls=1,
        image_shape=shape,
        max_count=max(_BATCHES),
        parameters=student.count_params(),
        weights="ema",
        dtype="float32",
        ops=which,
        fingerprint="",
        teacher="",
        pairs="",
        tf_student=__version__,
        tensorflow=tf.__version__,
    )
    variables = [variable.value for variable in student.variables]
    model = ServedModel(student, variables, shape, max(_BATCHES))
    return export(base, model, about)


def in_process(student: Student, mode: str):
    """The network as a function, traced under a mode of the fused op."""
    z = tf.TensorSpec([None, *student.unet.config.image_shape])
    before = ops.get_mode()
    ops.set_mode(mode)
    function = tf.function(lambda z: images.to_uint8(student(z)), input_signature=[z])
    function.get_concrete_function()
    ops.set_mode(before)
    return function


def compare(runs: dict, z: tf.Tensor, rounds: int) -> dict[str, float]:
    """The least seconds of each, in turns; the first turn only warms up."""
    times = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            run(z)
            times[name].append(time.perf_counter() - begun)
    return {name: min(values[1:]) for name, values in times.items()}


def bytes_a_parameter(directory: str, parameters: int) -> float:
    """Everything in the version's directory over the number of weights."""
    sizes = [
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(directory)
        for name in names
    ]
    return sum(sizes) / parameters


def cold_load(directory: str) -> None:
    """Prints what a new process takes for its first image."""
    done = subprocess.run(
        [sys.executable, "-c", _COLD, directory],
        capture_output=True,
        text=True,
        check=True,
    )
    imported, loaded, first = map(float, done.stdout.split())
    print(
        f"cold load {loaded + first:6.2f} s: load {loaded:.2f} s, first image "
        f"{first:.2f} s (importing TensorFlow took {imported:.2f} s)"
    )
    if native.compiler() is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "program")
        native.build(program)
        request = "sample /dev/null seed=int64::0 count=int32::1"
        begun = time.perf_counter()
        native.run(program, directory, [request])
        seconds = time.perf_counter() - begun
    print(f"cold load {seconds:6.2f} s: a C++ process, from its start to the image")


def main() -> None:
    """Prints milliseconds and ratios for each batch, seconds and bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cifar10", choices=systems.PRESETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ops", default="stock", choices=("stock", "fused"))
    arguments = parser.parse_args()
    student = Student(UNet(systems.get_preset(arguments.preset).unet))
    with tempfile.TemporaryDirectory() as folder:
        directory = make_export(
            student, arguments.preset, arguments.ops, os.path.join(folder, "model")
        )
        size = bytes_a_parameter(directory, student.count_params())
        print(f"{arguments.preset}: {size:.3f} bytes a parameter", flush=True)
        if arguments.ops == "stock":
            cold_load(directory)
        served = tf.saved_model.load(directory).signatures["serving_default"]
        runs = {"SavedModel": lambda z: served(noise=z)["images"]}
        runs["in process, stock"] = in_process(student, "off")
        if ops.library_loaded():
            runs["in process, fused"] = in_process(student, "on")
        for batch in _BATCHES:
            z = tf.random.normal([batch, *student.unet.config.image_shape])
            rounds = arguments.rounds * (1 if batch > 1 else 5)
            least = compare(runs, z, rounds)
            ratios = ", ".join(
                f"{least['SavedModel'] / seconds:.3f} of {name} ({seconds * 1e3:.1f})"
                for name, seconds in least.items()
                if name != "SavedModel"
            )
            print(
                f"batch {batch:3} SavedModel {least['SavedModel'] * 1e3:8.1f} ms: "
                f"{ratios}",
                flush=True,
            )


if __name__ == "__main__":
    main()
