"""Times the student's training step with the fused op against without it.

    python benchmarks/training_step.py [--rounds=5] [--xla]

Both steps live in one process and take turns; the ratio is of the least times, above 1
where the op helps.
"""

import argparse
import dataclasses
import time

import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tf_student.diffusion import losses
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.runtime import devices
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step

CASES = {"small (32x32x1)": 64, "CIFAR-10": 8}


def systems() -> dict[str, systems.Preset]:
    """The networks that are timed."""
    small = dataclasses.replace(
        systems.DIGITS.unet, image_size=32, attention_resolutions=(16,)
    )
    return {
        "small (32x32x1)": dataclasses.replace(systems.DIGITS, unet=small),
        "CIFAR-10": systems.CIFAR10,
    }


def make_step(system: systems.Preset, batch: int, mode: str, xla: bool):
    """A training step that is traced under a mode of the op."""
    strategy = devices.make_strategy(["CPU:0"])
    train = dataclasses.replace(system.student, batch_size=batch)
    state = TrainState(strategy, lambda: Student(UNet(system.unet)), train)

    def loss(model, pair, seed):
        z, image = pair
        generated = model(z, training=True, seed=seed)
        return losses.distillation_loss(generated, image, distance="l1")

    ops.set_mode(mode)
    step = make_train_step(strategy, state, loss, config=train, xla=xla)
    z = tf.random.normal([batch, *system.unet.image_shape])
    step((z, z), tf.constant(0.0))
    return lambda: float(step((z, z), tf.constant(0.0)).loss)


def main() -> None:
    """Prints milliseconds and the ratio of each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--xla", action="store_true")
    arguments = parser.parse_args()
    for name, system in systems().items():
        steps = {
            mode: make_step(system, CASES[name], mode, arguments.xla)
            for mode in ("on", "off")
        }
        times = {mode: [] for mode in steps}
        for _ in range(arguments.rounds):
            for mode, step in steps.items():
                start = time.perf_counter()
                step()
                times[mode].append(time.perf_counter() - start)
        fused, formula = min(times["on"]), min(times["off"])
        print(
            f"{name:16} batch {CASES[name]:3}  fused {fused * 1e3:8.1f} ms  "
            f"formula {formula * 1e3:8.1f} ms  ratio {formula / fused:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
