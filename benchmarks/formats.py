"""Compares a student's formats: size, time of an image, and FID.

    python benchmarks/formats.py --student=runs/digits/matched
        --statistics=runs/digits/statistics/real.npz [--samples=10000] [--rounds=200]

Exports the student as a SavedModel, and as LiteRT and ONNX files with float32, float16
and int8 weights. The times are of one image at a time, and the formats take turns: for
each number of threads, a new process has all of them. The ratios are of the smallest
times, to the SavedModel and to the float32 LiteRT file. The FID is that of `tf-student
evaluate` with the digits' features, of the same noise for all formats.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import peers
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.evaluation import extractors, frechet, statistics
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.models.student import Student
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

_FILES = {"litert": "LiteRT", "onnx": "ONNX"}
_DTYPES = ("float32", "float16", "int8")
_BATCH = 100
# Draws uint8 images from noise.
Draw = Callable[[np.ndarray], np.ndarray]


def make_exports(student: Student, base: str) -> dict[str, str]:
    """Exports every format, and returns the paths."""
    paths = {}
    for dtype in _DTYPES:
        whole = ("saved_model",) if dtype == "float32" else ()
        config = ExportConfig(format=(*whole, *_FILES), dtype=dtype, warmup="none")
        exported = export(student, base, config=config)
        if whole:
            paths["SavedModel"] = exported.directory
        for form, name in _FILES.items():
            paths[f"{name} {dtype}"] = exported.files[form]
    return paths


def size_of(path: str) -> int:
    """Bytes of a file, or of all files in a directory."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(size_of(os.path.join(path, name)) for name in os.listdir(path))


def open_model(path: str, threads: int, batch: int) -> Draw:
    """A function that draws a batch with a number of threads."""
    if path.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options)
        return lambda z: session.run(["images"], {"noise": z})[0]
    if path.endswith(".tflite"):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=path, num_threads=threads)
        ((first,), (last,)) = (
            interpreter.get_input_details(),
            interpreter.get_output_details(),
        )
        shape = [batch, *first["shape"][1:]]
        interpreter.resize_tensor_input(first["index"], shape)
        interpreter.allocate_tensors()

        def draw(z):
            interpreter.set_tensor(first["index"], z)
            interpreter.invoke()
            return interpreter.get_tensor(last["index"])

        return draw
    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]
    # The loaded object owns the signature's variables.
    return lambda z: (loaded, serve(noise=tf.constant(z))["images"].numpy())[1]


def time_formats(paths: dict[str, str], shape: tuple, threads: int, rounds: int):
    """Prints the microseconds of each format; the formats take turns."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    z = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    runs = {name: open_model(path, threads, 1) for name, path in paths.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 20):
        for name, run in runs.items():
            begun = time.perf_counter()
            run(z)
            times[name].append(time.perf_counter() - begun)
    best = {name: 1e6 * min(values[20:]) for name, values in times.items()}
    for name, values in times.items():
        ratios = [best[name] / best[of] for of in ("SavedModel", "LiteRT float32")]
        print(
            f"{threads} threads  {name:15} {best[name]:8.0f} us, median "
            f"{1e6 * np.median(values[20:]):8.0f}; {ratios[0]:.2f} of SavedModel, "
            f"{ratios[1]:.2f} of LiteRT float32",
            flush=True,
        )


def print_fids(
    paths: dict[str, str], shape: tuple, reference: str, samples: int
) -> None:
    """Prints the FID of each format against real statistics."""
    real = frechet.Reference(statistics.load(reference))
    config, strategy = EvaluateConfig(extractor="digits"), tf.distribute.get_strategy()
    extractor = extractors.from_config(config, strategy)
    fids: dict[str, float] = {}
    z = noise.normal(0, noise.EVALUATION + np.arange(samples), shape).numpy()
    for name, path in paths.items():
        draw = open_model(path, 2, _BATCH)
        batches = (draw(z[n : n + _BATCH]) for n in range(0, samples, _BATCH))
        fids[name] = real.distance(extractor.extract(batches).statistics)
        ratio = fids[name] / fids["SavedModel"]
        print(f"FID {name:15} {fids[name]:.4f}, {ratio:.4f} of SavedModel", flush=True)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--student", required=True)
    parser.add_argument("--statistics", default="")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    # What the script passes to its own processes.
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--paths", nargs="*", default=[], help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Prints the sizes, times and FIDs."""
    arguments = parse_arguments()
    student = Student.load(arguments.student) if not arguments.threads else None
    if student is None:
        paths = dict(pair.split("=", 1) for pair in arguments.paths)
        shape = tuple(map(int, arguments.student.split(",")))
        time_formats(paths, shape, arguments.threads, arguments.rounds)
        return
    shape = student.image_shape
    print(peers.cpu(), flush=True)
    with tempfile.TemporaryDirectory() as base:
        paths = make_exports(student, base)
        whole = size_of(paths["LiteRT float32"])
        for name, path in paths.items():
            size = size_of(path)
            print(f"size {name:15} {size:10,} bytes, {size / whole:.3f} of float32")
        for threads in (1, 2):
            command = [sys.executable, __file__, f"--threads={threads}"]
            command += [f"--student={','.join(map(str, shape))}"]
            command += [f"--rounds={arguments.rounds}", "--paths"]
            command += [f"{name}={path}" for name, path in paths.items()]
            subprocess.run(command, check=True)
        if arguments.statistics:
            print_fids(paths, shape, arguments.statistics, arguments.samples)


if __name__ == "__main__":
    main()
