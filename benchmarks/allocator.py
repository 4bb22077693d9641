"""Times a student's step with tf.data's setting of glibc's allocator and without it.

    python benchmarks/allocator.py [--cases=NAME:IMAGES,...] [--rounds=3]

Each measurement is a process of its own, in turns. The ratio is that of the shortest
steps; it is above 1 if `tf_student.runtime.allocator` makes the step faster. Only
Python 3.11 has a difference. Page faults are those of a step.
"""

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time

import peers

STEPS = 5


def measure(name: str, images: int, keep: bool) -> None:
    """Prints the seconds and page faults of a step, and the peak memory in MiB."""
    import student_step
    import tensorflow as tf

    from tf_student.presets import systems
    from tf_student.runtime import allocator

    if keep:
        allocator.keep_large_blocks()
    else:
        tf.data.Dataset.from_generator(
            lambda: iter([0]), output_signature=tf.TensorSpec([], tf.int32)
        ).reduce(0, lambda total, _: total)
    preset = systems.get_preset(name)
    train = dataclasses.replace(preset.student, batch_size=images)
    step = student_step.make_step(preset.unet, train)
    step()
    before, seconds = resource.getrusage(resource.RUSAGE_SELF), []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    faults = (after.ru_minflt - before.ru_minflt) / STEPS
    print(json.dumps([min(seconds), faults, after.ru_maxrss / 1024]))


def main() -> None:
    """Prints a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="digits:128,cifar10:8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, images, keep = options.measure
        measure(name, int(images), keep == "keep")
        return
    print(peers.cpu())
    print("case            seconds  faults  MiB | kept: seconds  faults  MiB | ratio")
    for case in options.cases.split(","):
        name, images = case.split(":")
        found: dict[str, list] = {"leave": [], "keep": []}
        for _ in range(options.rounds):
            for keep, results in found.items():
                command = [sys.executable, __file__, "--measure", name, images, keep]
                out = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                results.append(json.loads(out.stdout.splitlines()[-1]))
        left, kept = (min(results) for results in found.values())
        print(
            f"{case:14} {left[0]:8.3f} {left[1]:7.0f} {left[2]:4.0f} | {kept[0]:13.3f} "
            f"{kept[1]:7.0f} {kept[2]:4.0f} | {left[0] / kept[0]:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
