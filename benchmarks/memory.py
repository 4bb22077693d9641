"""The peak memory of a training step: as computed, and as a process shows it.

    python benchmarks/memory.py [--cases=NAME:IMAGES,...]

Each step runs in a process of its own. Measured is its greatest resident memory, less
what it held when its libraries were loaded. A case that does not fit into this
machine's memory is computed only.
"""

import argparse
import os
import subprocess
import sys

from tf_student.architecture import memory
from tf_student.presets import systems

CASES = "digits:128,cifar10:8,cifar10:16,celeba64:4,lsun_bedroom:1"


def measure(name: str, images: int, recompute: bool) -> None:
    """Prints the bytes that two training steps added."""
    import dataclasses
    import resource

    import tensorflow as tf

    from tf_student.diffusion import losses
    from tf_student.models.student import Student
    from tf_student.models.unet import UNet
    from tf_student.runtime import devices
    from tf_student.training.state import TrainState
    from tf_student.training.step import make_train_step

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak()
    system = systems.get_preset(name)
    strategy = devices.make_strategy(["CPU:0"])

    train = dataclasses.replace(system.student, batch_size=images)
    state = TrainState(
        strategy, lambda: Student(UNet(system.unet, recompute=recompute)), train
    )

    def loss(model, pair, seed):
        z, image = pair
        generated = model(z, training=True, seed=seed)
        return losses.distillation_loss(generated, image, distance="l1")

    step = make_train_step(strategy, state, loss, config=train, xla=False)
    z = tf.random.normal([images, *system.unet.image_shape])
    for _ in range(2):
        float(step((z, z), tf.constant(0.0)).loss)
    print(peak() - before)


def report(name: str, images: int) -> None:
    """Prints a line for each way."""
    config = systems.get_preset(name).unet
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for recompute in (False, True):
        computed = memory.training(config, images, recompute=recompute)
        line = f"{name:14} {images:5} images  {'recompute' if recompute else '':9}"
        line += f"  computed {computed / 2**30:6.2f} GiB"
        if computed < 0.7 * available:
            command = [sys.executable, __file__, "--worker", name, str(images)]
            done = subprocess.run(
                [*command, *(["--recompute"] if recompute else [])],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            measured = int(done.stdout.split()[-1])
            line += f"  measured {measured / 2**30:6.2f} GiB"
            line += f"  ratio {measured / computed:5.2f}"
        print(line, flush=True)


def main() -> None:
    """Measures the cases, or one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--recompute", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, images = arguments.worker
        return measure(name, int(images), arguments.recompute)
    for case in arguments.cases.split(","):
        name, images = case.split(":")
        report(name, int(images))


if __name__ == "__main__":
    main()
