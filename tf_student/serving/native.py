"""A small C++ program that loads a SavedModel through ModelServer's own code path.

`LoadSavedModel` with the tag `serve` and `Session::Run`, from the TensorFlow that is
installed; its source is `cc/load_saved_model.cc`.
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
    """$CXX, else g++, else clang++; None without any."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((name for name in names if name and shutil.which(name)), None)


def build(output: str) -> None:
    """Compiles the program, which takes some seconds.

    Raises:
        RuntimeError: if the compiler fails; the message is its own.
    """
    include, library = tf.sysconfig.get_include(), tf.sysconfig.get_lib()
    # XLA's headers include these two from where TensorFlow's own build keeps them.
    external = ("highwayhash", "farmhash_archive/src")
    command = [
        *(compiler(), "-w", str(_SOURCE), "-o", output),
        *tf.sysconfig.get_compile_flags(),
        *(f"-I{include}/external/{folder}" for folder in external),
        *(f"-L{library}", f"-Wl,-rpath,{library}"),
        # The factories of sessions register themselves; nothing names them.
        "-Wl,--no-as-needed",
        *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", "-ldl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-20:])
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{tail}")


def argument(name: str, value: np.ndarray, folder: str) -> str:
    """An input of a request; arrays go through a file in `folder`."""
    kind = {"float32": "float"}.get(value.dtype.name, value.dtype.name)
    if not value.ndim:
        return f"{name}={kind}::{value}"
    path = os.path.join(folder, f"{name}.input")
    value.tofile(path)
    return f"{name}={kind}:{','.join(map(str, value.shape))}:@{path}"


def run(
    program: str, directory: str, requests: Sequence[str], library: str | None = None
) -> list[str]:
    """Answers requests, in the form that the source says.

    Args:
        program: what `build` wrote.
        directory: of the SavedModel.
        requests: one a line.
        library: of an op that the model needs.

    Returns:
        For each request `OK`, the output's type and shape; or its status.

    Raises:
        RuntimeError: if the model cannot be loaded; the message is TensorFlow's.
    """
    done = subprocess.run(
        [program, directory, *([library] if library else [])],
        input="".join(f"{request}\n" for request in requests),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        # What comes before it is TensorFlow's log.
        reason = done.stderr.strip().splitlines()[-1]
        raise RuntimeError(f"{directory} cannot be loaded: {reason}")
    return done.stdout.splitlines()
