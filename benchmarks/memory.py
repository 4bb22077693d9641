"""Compares the computed peak memory of a training step with the measured one.

    python benchmarks/memory.py [--cases=NAME:IMAGES,...]
    python benchmarks/memory.py --objective=sid [--regression]

Each step runs in its own process. The measured value is the peak resident memory of the
process minus its resident memory after the libraries were imported. The step is that of
regression, or with --objective that of distribution matching, which with --regression
also uses pairs. Cases that do not fit into this machine's memory are only computed.
"""

import argparse
import os
import subprocess
import sys

import peers
from tf_student.flags import costs

from tf_student.architecture import memory
from tf_student.architecture.unet_config import UNetConfig
from tf_student.presets import systems
from tf_student.training.match_config import MatchConfig

CASES = "digits:128,cifar10:8,cifar10:16,celeba64:4,lsun_bedroom:1"


def measure(name: str, images: int, recompute: bool, match: MatchConfig | None) -> None:
    """Prints the bytes that seven training steps add to the process."""
    import dataclasses
    import resource

    import student_step

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = peak()
    preset = systems.get_preset(name)
    train = dataclasses.replace(preset.student, batch_size=images)
    if match:
        step = student_step.make_matching_step(
            preset.unet, train, match, recompute=recompute
        )
    else:
        step = student_step.make_step(preset.unet, train, recompute=recompute)
    for _ in range(7):
        step()
    print(peak() - before)


def compute(
    config: UNetConfig, images: int, recompute: bool, match: MatchConfig | None
) -> int:
    """The estimate of the library for a CPU."""
    if not match:
        step = memory.training(config, images, recompute=recompute)
        return step + memory.runtime(1, recomputed=int(recompute))
    step = memory.matching(
        config,
        images,
        through_teacher=match.objective == "sid",
        regression=match.regression > 0,
        recompute=recompute,
    )
    networks, recomputed = costs.graphs(match)
    return step + memory.runtime(networks, recomputed=recompute * recomputed)


def report(name: str, images: int, match: MatchConfig | None) -> None:
    """Prints a line without and one with gradient checkpointing."""
    config = systems.get_preset(name).unet
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for recompute in (False, True):
        computed = compute(config, images, recompute, match)
        line = f"{name:14} {images:5} images  {'recompute' if recompute else '':9}"
        line += f"  computed {computed / 2**30:6.2f} GiB"
        if computed < 0.7 * available:
            command = [sys.executable, __file__, "--worker", name, str(images)]
            done = subprocess.run(
                [
                    *command,
                    *([f"--objective={match.objective}"] if match else []),
                    *(["--regression"] if match and match.regression else []),
                    *(["--recompute"] if recompute else []),
                ],
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
    """Measures all cases, or a single one in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--objective", default="", choices=("", "sid", "dmd"))
    parser.add_argument("--regression", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--recompute", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    match = None
    if arguments.objective:
        weight = 0.05 if arguments.regression else 0.0
        match = MatchConfig(arguments.objective, regression=weight)
    if arguments.worker:
        name, images = arguments.worker
        return measure(name, int(images), arguments.recompute, match)
    print(peers.cpu(), flush=True)
    for case in arguments.cases.split(","):
        name, images = case.split(":")
        report(name, int(images), match)


if __name__ == "__main__":
    main()
