"""The weights of a finished network: `model.keras` in the directory of a run."""

import os
import shutil
import tempfile
from collections.abc import Callable

import keras
import tensorflow as tf

from tf_student.runtime import files, leftovers, run_directory
from tf_student.runtime.errors import InputError, first_line
from tf_student.runtime.run_directory import RunDirectory

MODEL = "model.keras"


def open_run(directory: str, network: str) -> RunDirectory:
    """Opens the run of a `teacher` or of a `student`.

    Raises:
        InputError: if the directory is not one of a run, or one of the other network.
    """
    run = RunDirectory.open(directory)
    # It is empty if the run does not say what it is.
    if run.network not in ("", network):
        raise InputError(
            f"{directory} must have a {network}. Received: a {run.network}."
        )
    return run


def save(
    directory: str, model: keras.Model, *, claim: Callable[[], object] | None = None
) -> None:
    """Writes `model.keras` atomically.

    Args:
        directory: the directory of a run.
        model: the network.
        claim: writes the directory's `config.json`. It is called after Keras has
            serialized the model: a loss that Keras cannot serialize leaves no trace.
            Without it, the caller must hold the directory's lock.

    Raises:
        InputError: if another process writes to the directory.
    """
    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, MODEL)
        # A student's own `save` writes a directory.
        keras.Model.save(model, local)
        if claim is None:
            _replace(directory, local)
            return
        tf.io.gfile.makedirs(directory)
        with leftovers.locked(directory):
            claim()
            leftovers.remove(directory, {MODEL, run_directory.CONFIG}.__contains__)
            _replace(directory, local)


def _replace(directory: str, local: str) -> None:
    with files.replacing(os.path.join(directory, MODEL)) as temporary:
        _copy(local, temporary)


def exists(directory: str) -> bool:
    """Whether the run in a directory has finished weights."""
    return tf.io.gfile.exists(os.path.join(directory, MODEL))


def check_exists(directory: str) -> None:
    """Raises an `InputError` if the run has no finished weights.

    Call it before building a network, which takes seconds.
    """
    if not exists(directory):
        raise InputError(f"{directory} has no {MODEL}. Has its training finished?")


def load(directory: str, model: keras.Model) -> None:
    """Reads the weights of `model.keras` into a network of the same architecture.

    Raises:
        InputError: if the file is missing, damaged or of another architecture.
    """
    path = os.path.join(directory, MODEL)
    check_exists(directory)
    with tempfile.TemporaryDirectory() as scratch:
        local = os.path.join(scratch, MODEL)
        _copy(path, local)
        try:
            model.load_weights(local)
        # Keras raises zip, HDF5 and shape errors of many types.
        except Exception as error:
            reason = first_line(error)
            raise InputError(f"{path} cannot be loaded: {reason}") from error


def _copy(source: str, target: str) -> None:
    with tf.io.gfile.GFile(source, "rb") as old, tf.io.gfile.GFile(target, "wb") as new:
        shutil.copyfileobj(old, new)
