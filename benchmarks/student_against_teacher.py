"""Times a student's image against one network call and all calls of its teacher.

    python benchmarks/student_against_teacher.py [--preset=cifar10] [--batch=64]

The networks have random weights, because the time does not depend on them. All run in
one process and take turns; the ratios are those of the median times.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import peers
import tensorflow as tf

from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.presets import systems


def median_seconds(
    functions: dict[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    """Returns the median time of each function; the first call is not counted."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def measure(name: str, batch: int, rounds: int) -> tuple[float, float]:
    """Prints milliseconds per image and both ratios.

    Returns:
        The student's time as a part of one call of its teacher, and of all calls.
    """
    preset = systems.get_preset(name)
    teacher = Teacher(UNet(preset.unet), preset.diffusion)
    student = Student(teacher.unet, preset.diffusion)
    sample = teacher.sampler(preset.sampler)
    z = tf.random.normal([batch, *preset.unet.image_shape])
    t = tf.fill([batch], preset.diffusion.timesteps - 1)
    medians = median_seconds(
        {
            "one teacher call": tf.function(lambda: teacher.unet(z, t)),
            "student": tf.function(lambda: student(z)),
            "teacher, all calls": tf.function(lambda: sample(z)),
        },
        rounds,
    )
    for what, seconds in medians.items():
        print(f"{what:20} {seconds / batch * 1e3:9.3f} ms an image")
    call, student_image, teacher_image = medians.values()
    print(f"student / one teacher call   {student_image / call:8.3f}")
    print(f"teacher / student            {teacher_image / student_image:8.1f}")
    return student_image / call, student_image / teacher_image


def main() -> None:
    """Measures one preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="digits", choices=systems.PRESETS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print(peers.cpu())
    measure(arguments.preset, arguments.batch, arguments.rounds)


if __name__ == "__main__":
    main()
