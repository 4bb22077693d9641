"""Checks of this machine: packages, Keras' settings, devices, XLA, the op, the disk.

TensorFlow is imported only by the checks that need it, so that the others work where it
is not installed.
"""

import dataclasses
import importlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterator

from tf_student.runtime import keras_settings
from tf_student.runtime.errors import InputError, first_line

_PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow-datasets",
    "tensorflow-gan",
    "tensorflow-probability",
    "tf-keras",
    "tensorflow-hub",
    "absl-py",
    "numpy",
)
_LITTLE_DISK = 5 * 10**9


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: the checked part of the machine.
        text: its state.
        remedy: how to correct a fault; None if the part works.
    """

    name: str
    text: str
    remedy: str | None = None


def versions() -> Iterator[Finding]:
    """Compares the versions of installed packages with those that are required."""
    from packaging.requirements import Requirement

    required = {}
    for line in importlib.metadata.requires("tf-student") or ():
        requirement = Requirement(line)
        required[requirement.name] = requirement.specifier
    for name in _PACKAGES:
        remedy = f"pip install '{name}{required[name]}'"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "not installed", remedy)
            continue
        if version in required[name]:
            yield Finding(name, version)
        else:
            yield Finding(name, f"{version}, expected {required[name]}", remedy)


def settings_of_keras() -> Finding:
    """Checks the environment variables and the file that Keras reads."""
    try:
        keras_settings.check()
    except InputError as error:
        remedy = "unset the variable, or correct or remove the file"
        return Finding("Keras' settings", str(error), remedy)
    return Finding("Keras' settings", "those that networks need")


def devices() -> Finding:
    """Checks whether TensorFlow sees the GPUs of this machine."""
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        return Finding("devices", f"{len(gpus)} GPU(s)")
    if shutil.which("nvidia-smi"):
        return Finding(
            "devices",
            "this machine has a GPU that TensorFlow does not see",
            "pip install 'tensorflow[and-cuda]' and check the driver with nvidia-smi",
        )
    return Finding("devices", f"CPU only, {os.cpu_count()} cores")


def xla() -> Finding:
    """Checks whether XLA compiles for the default device."""
    import tensorflow as tf

    try:
        compiled = tf.function(lambda x: x * x + 1.0, autograph=False, jit_compile=True)
        value = compiled(tf.constant(2.0))
    except tf.errors.OpError as error:
        remedy = "run with --xla=off, or reinstall TensorFlow"
        return Finding("XLA", first_line(error), remedy)
    assert float(value) == 5.0
    default = "yes" if tf.config.list_logical_devices("GPU") else "no"
    return Finding("XLA", f"compiles; on by default: {default}")


def fused_op() -> Finding:
    """Checks whether the kernels of the fused GroupNorm-SiLU op were built."""
    from tf_student.custom_ops.group_norm_silu.python import ops

    if ops.library_loaded():
        return Finding("GroupNorm-SiLU", ops.describe())
    return Finding(
        "GroupNorm-SiLU",
        ops.describe(),
        "install g++ and run pip install again; until then training is slower",
    )


def importable(name: str, module: str, remedy: str) -> Finding:
    """Checks whether a module can be imported.

    Args:
        name: the name of the finding.
        module: the full name of the module.
        remedy: how to correct a failure.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        return Finding(name, first_line(error), remedy)
    return Finding(name, f"{module} can be imported")


def disk(directory: str) -> Finding:
    """Checks whether a directory, or its nearest existing parent, has enough space."""
    if "://" in directory:
        return Finding("disk", f"{directory} is remote: its space is unknown")
    directory = os.path.abspath(directory)
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    if not os.access(directory, os.W_OK):
        return Finding("disk", f"{directory} is not writable", "choose --work_dir")
    free = shutil.disk_usage(directory).free
    if free < _LITTLE_DISK:
        return Finding(
            "disk",
            f"{free / 1e9:.1f} GB free in {directory}",
            "free some space, or choose another --work_dir",
        )
    return Finding("disk", f"{free / 1e9:.0f} GB free in {directory}")
