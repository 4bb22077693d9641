"""Looks at this machine: versions, devices, XLA, the op, the disk.

    tf-student doctor

Ends with exit code 1 if something needs attention, and says what to do about it.
"""

import importlib.metadata
import os
import shutil
import sys

from tf_student.flags import config_flags, launch

from tf_student.runtime.errors import first_line

config_flags.define_common()

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


class Findings:
    """Prints one line for each thing looked at, and counts the faults."""

    def __init__(self):
        self.faults = 0

    def good(self, name: str, text: str) -> None:
        """Something is as it should be."""
        print(f"  ok    {name}: {text}")

    def fault(self, name: str, text: str, remedy: str) -> None:
        """Something is not, and this is what to do."""
        self.faults += 1
        print(f"  FAULT {name}: {text}\n        -> {remedy}")


def look_at_versions(findings: Findings) -> None:
    """Versions of what this package stands on, against what it asks for."""
    from packaging.requirements import Requirement

    wanted = {}
    for line in importlib.metadata.requires("tf-student") or ():
        requirement = Requirement(line)
        wanted[requirement.name] = requirement.specifier
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            findings.fault(name, "not installed", f"pip install '{name}{wanted[name]}'")
            continue
        if version in wanted[name]:
            findings.good(name, version)
        else:
            remedy = f"pip install '{name}{wanted[name]}'"
            findings.fault(name, f"{version}, expected {wanted[name]}", remedy)


def look_at_devices(findings: Findings) -> None:
    """GPUs, and whether XLA compiles for the device that would be used."""
    tf = launch.import_quietly("tensorflow")
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        findings.good("devices", f"{len(gpus)} GPU(s)")
    elif shutil.which("nvidia-smi"):
        findings.fault(
            "devices",
            "there is a GPU that TensorFlow does not see",
            "pip install 'tensorflow[and-cuda]' and check the driver with nvidia-smi",
        )
    else:
        findings.good("devices", f"CPU only, {os.cpu_count()} cores")
    try:
        value = tf.function(lambda x: x * x + 1.0, jit_compile=True)(tf.constant(2.0))
        findings.good("XLA", f"compiles; on by default: {'yes' if gpus else 'no'}")
        assert float(value) == 5.0
    except tf.errors.OpError as error:
        reason = first_line(error)
        findings.fault("XLA", reason, "run with --xla=off, or reinstall TensorFlow")


def look_at_op(findings: Findings) -> None:
    """Whether the fused kernels are in use."""
    ops = launch.import_quietly("tf_student.custom_ops.group_norm_silu.python.ops")
    if ops.library_loaded():
        findings.good("GroupNorm-SiLU", ops.describe())
    else:
        remedy = "install g++ and run pip install again; until then training is slower"
        findings.fault("GroupNorm-SiLU", ops.describe(), remedy)


def look_at_evaluation(findings: Findings) -> None:
    """Whether TF-GAN's evaluation functions can be reached."""
    try:
        launch.import_quietly("tf_student.evaluation.tfgan")
        findings.good("TF-GAN", "evaluation functions import")
    except ImportError as error:
        findings.fault("TF-GAN", str(error), "pip install --force-reinstall tf-student")


def look_at_disk(findings: Findings) -> None:
    """Whether the work directory can be written, and how much fits."""
    directory = os.path.abspath(config_flags.work_dir())
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    free = shutil.disk_usage(directory).free
    if not os.access(directory, os.W_OK):
        findings.fault("disk", f"{directory} cannot be written", "choose --work_dir")
    elif free < _LITTLE_DISK:
        text = f"{free / 1e9:.1f} GB free in {directory}"
        findings.fault("disk", text, "make room, or choose another --work_dir")
    else:
        findings.good("disk", f"{free / 1e9:.0f} GB free in {directory}")


def main() -> None:
    """Looks at everything."""
    findings = Findings()
    print(f"Python {sys.version.split()[0]} in {sys.prefix}")
    look_at_versions(findings)
    look_at_devices(findings)
    look_at_op(findings)
    look_at_evaluation(findings)
    look_at_disk(findings)
    if findings.faults:
        print(f"{findings.faults} fault(s).")
        sys.exit(1)
    print("All is well.")


if __name__ == "__main__":
    launch.run(main)
