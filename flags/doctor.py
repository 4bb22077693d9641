"""Checks this machine: packages, Keras' settings, devices, XLA, the op and the disk.

    tf-student doctor

Exits with code 1 if a part needs attention, and prints how to correct it.
"""

import sys
from collections.abc import Iterator

from tf_student.flags import config_flags, launch

from tf_student.runtime import doctor

config_flags.define_common()


def findings() -> Iterator[doctor.Finding]:
    """Yields the result of each check as soon as it is known."""
    yield from doctor.versions()
    yield (settings := doctor.settings_of_keras())
    if settings.remedy is None:
        yield from _of_tensorflow()
    yield doctor.disk(config_flags.work_dir())


def _of_tensorflow() -> Iterator[doctor.Finding]:
    launch.import_quietly("tensorflow")
    yield doctor.devices()
    yield doctor.xla()
    yield doctor.fused_op()
    yield doctor.importable(
        "TF-GAN",
        "tf_student.evaluation.tfgan",
        "pip install --force-reinstall tf-student",
    )


def main() -> None:
    """Prints one line for each check, and exits with code 1 after a fault."""
    print(f"Python {sys.version.split()[0]} in {sys.prefix}")
    faults = 0
    for finding in findings():
        if finding.remedy is None:
            print(f"  ok    {finding.name}: {finding.text}")
            continue
        faults += 1
        print(f"  FAULT {finding.name}: {finding.text}\n        -> {finding.remedy}")
    if faults:
        print(f"{faults} fault(s).")
        sys.exit(1)
    print("No faults.")


if __name__ == "__main__":
    launch.run(main)
