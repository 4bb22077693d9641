"""A C++ program that loads a SavedModel through the code path of ModelServer.

It calls `LoadSavedModel` with the tag `serve` and `Session::Run`, in the installed
TensorFlow. Its source is `cc/load_saved_model.cc`.
"""

import os
import pathlib
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_SOURCE = pathlib.Path(__file__).parent / "cc" / "load_saved_model.cc"


def compiler() -> str | None:
    """The C++ compiler: $CXX, g++ or clang++; None if none of them is installed."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((name for name in names if name and shutil.which(name)), None)


def build(output: str) -> None:
    """Compiles the program, in about 15 seconds.

    Args:
        output: path of the program.

    Raises:
        RuntimeError: if the compiler is missing or fails.
    """
    name = compiler()
    if name is None:
        raise RuntimeError("No C++ compiler is installed.")
    include, library = tf.sysconfig.get_include(), tf.sysconfig.get_lib()
    # XLA's headers include these two as TensorFlow's own build arranges them.
    external = ("highwayhash", "farmhash_archive/src")
    command = [
        *(name, "-w", str(_SOURCE), "-o", output),
        *tf.sysconfig.get_compile_flags(),
        *(f"-I{include}/external/{folder}" for folder in external),
        *(f"-L{library}", f"-Wl,-rpath,{library}"),
        # The session factories register themselves; no symbol of theirs is used.
        "-Wl,--no-as-needed",
        *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", "-ldl"),
    ]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        tail = "\n".join(finished.stderr.strip().splitlines()[-20:])
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{tail}")


def argument(name: str, value: np.ndarray | np.generic, folder: str) -> str:
    """An input of a request, as `NAME=TYPE:DIMENSIONS:VALUE`.

    Args:
        name: of the input.
        value: a scalar, or an array, which is written to a file.
        folder: directory of that file.
    """
    kind = {"float32": "float"}.get(value.dtype.name, value.dtype.name)
    if not value.ndim:
        return f"{name}={kind}::{value}"
    path = os.path.join(folder, f"{name}.input")
    value.tofile(path)
    return f"{name}={kind}:{','.join(map(str, value.shape))}:@{path}"


def run(
    program: str, directory: str, requests: Sequence[str], library: str | None = None
) -> list[str]:
    """Loads a SavedModel and runs requests, in the format of `load_saved_model.cc`.

    Args:
        program: path that `build` wrote.
        directory: of the SavedModel.
        requests: each of them a line.
        library: shared library of an op that the model needs.

    Returns:
        For each request its status: `OK` with the type and the shape of the output, or
        the code and the message of an error.

    Raises:
        RuntimeError: if the model cannot be loaded; the message has TensorFlow's.
    """
    finished = subprocess.run(
        [program, directory, *([library] if library else [])],
        input="".join(f"{request}\n" for request in requests),
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        # The lines before the last one are TensorFlow's log.
        reason = finished.stderr.strip().splitlines()[-1]
        raise RuntimeError(f"{directory} cannot be loaded: {reason}")
    return finished.stdout.splitlines()
