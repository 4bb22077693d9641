"""Times a step of distribution matching against the student's regression step.

    python benchmarks/matching_step.py [--cases=NAME:IMAGES,...] [--rounds=N]

The steps alternate, on one CPU device. A ratio is the median over the rounds, with the
smallest and the largest in parentheses.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import peers
import student_step

from tf_student.presets import systems
from tf_student.training.match_config import MatchConfig

CASES = "digits:128,cifar10:8"


def seconds(function: Callable[[], object]) -> float:
    """The duration of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(name: str, images: int, rounds: int) -> dict[str, float]:
    """Prints the time of a regression step, and the ratios of both objectives.

    Returns:
        The time of a step of each objective as a multiple of a regression step.
    """
    preset = systems.get_preset(name)
    train = dataclasses.replace(preset.matching, batch_size=images)
    steps = {"regression": student_step.make_step(preset.unet, train)}
    for objective in ("sid", "dmd"):
        steps[objective] = student_step.make_matching_step(
            preset.unet, train, MatchConfig(objective)
        )
    for step in steps.values():
        step()
        step()
    times = [{k: seconds(step) for k, step in steps.items()} for _ in range(rounds)]
    base = statistics.median(t["regression"] for t in times)
    print(f"{name}, {images} images: a regression step takes {1e3 * base:,.0f} ms")
    medians = {}
    for objective in ("sid", "dmd"):
        ratios = [t[objective] / t["regression"] for t in times]
        medians[objective] = statistics.median(ratios)
        print(
            f"  {objective}: {medians[objective]:.2f} times as long "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
    return medians


def main() -> None:
    """Measures all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(peers.cpu())
    for case in arguments.cases.split(","):
        name, images = case.split(":")
        measure(name, int(images), arguments.rounds)


if __name__ == "__main__":
    main()
