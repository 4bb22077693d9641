"""Times the student's image against one call, and all calls, of its teacher.

    python benchmarks/student_against_teacher.py [--preset=cifar10] [--batch=64]

Networks have random weights: the time does not depend on them. The three are timed in
turn, in one process, and the ratios are of medians.
"""

import argparse
import statistics
import time

import tensorflow as tf

from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.training.teacher_task import make_sampler


def main() -> None:
    """Prints milliseconds an image and the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="digits", choices=systems.PRESETS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    system = systems.get_preset(arguments.preset)
    unet = UNet(system.unet)
    student = Student(unet, system.diffusion.timesteps)
    ddim = make_sampler(unet, system.diffusion, system.sampler)
    z = tf.random.normal([arguments.batch, *system.unet.image_shape])
    t = tf.fill([arguments.batch], system.diffusion.timesteps - 1)
    runs = {
        "one teacher call": tf.function(lambda: unet(z, t)),
        "student": tf.function(lambda: student(z)),
        "teacher, all calls": tf.function(lambda: ddim(z)),
    }
    times = {name: [] for name in runs}
    for _ in range(arguments.rounds + 1):
        for name, function in runs.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:20} {seconds / arguments.batch * 1e3:9.3f} ms an image")
    call, one, every = medians.values()
    print(f"student / one teacher call   {one / call:8.3f}")
    print(f"teacher / student            {every / one:8.1f}")


if __name__ == "__main__":
    main()
