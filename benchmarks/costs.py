"""Shows how time and memory of a training step grow, as computed and as measured.

    python benchmarks/costs.py [--figure=FILE.png]

The network is that of the digits. Batch, image size and number of devices grow in turn,
and each step runs in a process of its own. Memory is computed as `--dry_run` computes
it. Time is computed from the floating-point operations that `--dry_run` prints, at the
speed of the first case. The devices are parts of the same CPU.
"""

import argparse
import dataclasses
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import matplotlib.figure
import peers

from tf_student.architecture import arithmetic, memory
from tf_student.architecture.unet_config import UNetConfig
from tf_student.presets import systems


@dataclasses.dataclass(frozen=True)
class Case:
    """A training step: images in the batch, their height and width, and devices."""

    batch: int = 128
    size: int = 8
    devices: int = 1

    def unet(self) -> UNetConfig:
        """The network, which has attention at half the image size."""
        digits, half = systems.get_preset("digits").unet, self.size // 2
        return dataclasses.replace(
            digits, image_size=self.size, attention_resolutions=(half,)
        )

    def operations(self) -> int:
        """The multiply-adds of the step."""
        return 3 * self.batch * arithmetic.multiply_adds(self.unet())

    def bytes(self) -> int:
        """The memory on all devices, which is this machine's."""
        step = memory.training(self.unet(), self.batch // self.devices)
        return self.devices * step + memory.runtime(self.devices)


SERIES = {
    "batch": [Case(batch=n) for n in (128, 32, 64, 256, 512)],
    "size": [Case(batch=32, size=n) for n in (8, 16, 32, 64)],
    "devices": [Case(devices=n) for n in (1, 2)],
}


def work(case: Case) -> None:
    """Prints the seconds of a step, and the bytes that it adds to the process."""
    import student_step
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * case.devices
    tf.config.set_logical_device_configuration(cpu, parts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    student = systems.get_preset("digits").student
    train = dataclasses.replace(student, batch_size=case.batch)
    step = student_step.make_step(case.unet(), train, replicas=case.devices)
    step(), step()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([statistics.median(seconds), added * 1024]))


def measured(case: Case) -> tuple[float, int]:
    """The seconds and bytes of a case, from a new process."""
    command = [sys.executable, __file__, f"--worker={dataclasses.astuple(case)}"]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def table() -> dict[str, list[tuple[int, float, float, float, float]]]:
    """Prints and returns the rows of each series.

    A row has the value that grows, seconds as measured and computed, and GiB as
    measured and computed.
    """
    found, rows, speed = {}, {}, None
    for name, cases in SERIES.items():
        rows[name] = []
        for case in cases:
            found[case] = found.get(case) or measured(case)
            seconds, added = found[case]
            speed = speed or case.operations() / seconds
            computed = case.operations() / speed
            gib = added / 2**30, case.bytes() / 2**30
            rows[name].append((getattr(case, name), seconds, computed, *gib))
            print(
                f"{case.batch:4} images of {case.size:2}x{case.size:<2}, "
                f"devices: {case.devices}  {seconds:6.3f} s, computed {computed:6.3f}"
                f"  {gib[0]:5.2f} GiB, computed {gib[1]:5.2f} ({gib[0] / gib[1]:.2f})",
                flush=True,
            )
        rows[name].sort()
    return rows


def draw(rows: dict, path: pathlib.Path) -> None:
    """Draws time above memory, a column for each series."""
    labels = {"batch": "images", "size": "height and width", "devices": "devices"}
    figure = matplotlib.figure.Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(2, len(rows), sharex="col")
    for column, (name, values) in enumerate(rows.items()):
        for row, (unit, first) in enumerate((("seconds", 1), ("GiB", 3))):
            axis = axes[row][column]
            x = [v[0] for v in values]
            axis.plot(x, [v[first] for v in values], "o-", label="measured")
            axis.plot(x, [v[first + 1] for v in values], "s--", label="computed")
            axis.set_xscale("log", base=2)
            axis.set_xticks(x, [str(value) for value in x])
            axis.set_ylim(bottom=0)
            axis.set_ylabel(unit)
        axes[1][column].set_xlabel(labels[name])
    axes[0][0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures all cases, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=pathlib.Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(Case(*json.loads(f"[{arguments.worker.strip('()')}]")))
    print(peers.cpu(), flush=True)
    rows = table()
    if arguments.figure:
        draw(rows, arguments.figure)


if __name__ == "__main__":
    main()
