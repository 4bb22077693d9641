"""Compares an exported student with the same network in the process.

    python benchmarks/serving.py [--preset=cifar10] [--rounds=7] [--ops=stock]

The weights are random, because times do not depend on them. The loaded SavedModel and
the network in the process, with TensorFlow's operations and with the fused op, take
turns; the ratios are of the smallest times. The script also measures the size of the
export and the cold load in a new process: from `tf.saved_model.load` to the first
image, with the time of importing TensorFlow beside it, and, if a C++ compiler is
installed, from the start of a C++ process to the first image.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import peers
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.data import images
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.serving import native
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

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


def make_export(student: Student, preset: str, operations: str, base: str) -> str:
    """Exports the student, and returns the directory of the version."""
    config = ExportConfig(ops=operations, max_count=max(_BATCHES))
    return export(student, base, config=config, preset=preset).directory


def in_process(student: Student, mode: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """The network as a function that is traced with a mode of the fused op."""
    z = tf.TensorSpec([None, *student.unet.config.image_shape])
    before = ops.get_mode()
    ops.set_mode(mode)
    function = tf.function(lambda z: images.to_uint8(student(z)), input_signature=[z])
    function.get_concrete_function()
    ops.set_mode(before)
    return function


def compare(
    runs: dict[str, Callable[[tf.Tensor], tf.Tensor]], z: tf.Tensor, rounds: int
) -> dict[str, float]:
    """The smallest seconds of each function; the functions take turns.

    The first round is a warm-up.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            run(z)
            times[name].append(time.perf_counter() - begun)
    return {name: min(values[1:]) for name, values in times.items()}


def bytes_per_parameter(directory: str, parameters: int) -> float:
    """The size of the version's directory, divided by the number of parameters."""
    sizes = [
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(directory)
        for name in names
    ]
    return sum(sizes) / parameters


def cold_load(directory: str) -> None:
    """Prints the times of a new process until its first image."""
    finished = subprocess.run(
        [sys.executable, "-c", _COLD, directory],
        capture_output=True,
        text=True,
        check=True,
    )
    imported, loaded, first = map(float, finished.stdout.split())
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
    print(f"cold load {seconds:6.2f} s: from the start of a C++ process")


def print_ratios(
    runs: dict[str, Callable[[tf.Tensor], tf.Tensor]], z: tf.Tensor, rounds: int
) -> None:
    """Prints the milliseconds of a batch, and the ratios to the other functions."""
    seconds = compare(runs, z, rounds)
    exported = seconds.pop("SavedModel")
    ratios = ", ".join(
        f"{exported / other:.3f} of {name} ({other * 1e3:.1f})"
        for name, other in seconds.items()
    )
    print(f"batch {len(z):3} SavedModel {exported * 1e3:8.1f} ms: {ratios}", flush=True)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cifar10", choices=systems.PRESETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ops", default="stock", choices=("stock", "fused"))
    return parser.parse_args()


def main() -> None:
    """Prints the size, the cold load, and the times and ratios of each batch."""
    arguments = parse_arguments()
    print(peers.cpu(), flush=True)
    student = Student(UNet(systems.get_preset(arguments.preset).unet))
    with tempfile.TemporaryDirectory() as folder:
        directory = make_export(
            student, arguments.preset, arguments.ops, os.path.join(folder, "model")
        )
        size = bytes_per_parameter(directory, student.count_params())
        print(f"{arguments.preset}: {size:.3f} bytes per parameter", flush=True)
        if arguments.ops == "stock":
            cold_load(directory)
        # The signature does not keep the variables of its model alive.
        loaded = tf.saved_model.load(directory)
        signature = loaded.signatures["serving_default"]
        runs = {
            "SavedModel": lambda z: signature(noise=z)["images"],
            "in process, stock": in_process(student, "off"),
        }
        if ops.library_loaded():
            runs["in process, fused"] = in_process(student, "on")
        for batch in _BATCHES:
            z = tf.random.normal([batch, *student.image_shape])
            print_ratios(runs, z, arguments.rounds * (1 if batch > 1 else 5))


if __name__ == "__main__":
    main()
