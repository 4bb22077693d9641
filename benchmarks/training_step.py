"""Times the student's training step with and without the fused op.

    python benchmarks/training_step.py [--rounds=5] [--xla]

Both steps run in one process and take turns. The ratio is that of the shortest times;
it is above 1 if the op makes the step faster.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable

import peers
import student_step
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.presets.digits import DIGITS
from tf_student.presets.paper import CIFAR10
from tf_student.presets.preset import Preset

SMALL = dataclasses.replace(
    DIGITS,
    unet=dataclasses.replace(DIGITS.unet, image_size=32, attention_resolutions=(16,)),
)
# Name, preset and batch size.
CASES = (("small (32x32x1)", SMALL, 64), ("CIFAR-10", CIFAR10, 8))


def make_step(preset: Preset, batch: int, mode: str, xla: bool) -> Callable[[], float]:
    """Builds a training step and traces it with the op switched `on` or `off`."""
    train = dataclasses.replace(preset.student, batch_size=batch)
    step = student_step.make_step(preset.unet, train, xla=xla)
    ops.set_mode(mode)
    try:
        step()
    finally:
        ops.set_mode("auto")
    return step


def measure(name: str, preset: Preset, batch: int, rounds: int, xla: bool) -> float:
    """Prints milliseconds; returns how many times as fast a step is with the op."""
    steps = {mode: make_step(preset, batch, mode, xla) for mode in ("on", "off")}
    times: dict[str, list[float]] = {mode: [] for mode in steps}
    for _ in range(rounds):
        for mode, step in steps.items():
            start = time.perf_counter()
            step()
            times[mode].append(time.perf_counter() - start)
    fused, formula = min(times["on"]), min(times["off"])
    print(
        f"{name:16} batch {batch:3}  fused {fused * 1e3:8.1f} ms  "
        f"formula {formula * 1e3:8.1f} ms  ratio {formula / fused:5.2f}",
        flush=True,
    )
    return formula / fused


def main() -> None:
    """Prints milliseconds and the ratio for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--xla", action="store_true")
    arguments = parser.parse_args()
    print(peers.cpu())
    for name, preset, batch in CASES:
        measure(name, preset, batch, arguments.rounds, arguments.xla)


if __name__ == "__main__":
    main()
