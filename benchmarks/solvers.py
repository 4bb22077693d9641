"""Prints the error of each solver against a DDIM trajectory of 1000 steps.

    python benchmarks/solvers.py --teacher_dir=runs/demo/teacher

The error is the root mean square over images from the same noise, in units of the
image's range [-1, 1]. The last line shows the effect of a bfloat16 network.
"""

import argparse
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.models.teacher import Teacher

SPACINGS = ("uniform", "quadratic", "log_snr")
SOLVERS = ("ddim", "dpm++2m")

Sample = Callable[[Teacher, SamplerConfig], np.ndarray]


def print_errors(teacher: Teacher, sample: Sample) -> None:
    """Prints a table: a row for each number of calls, a column for each sampler."""
    exact = sample(teacher, SamplerConfig("uniform", 1000, "ddim"))
    ways = [(solver, spacing) for spacing in SPACINGS for solver in SOLVERS]
    print("calls" + "".join(f"{f'{solver} {spacing}':>19}" for solver, spacing in ways))
    for calls in (10, 20, 50, 100):
        errors = []
        for solver, spacing in ways:
            approximate = sample(teacher, SamplerConfig(spacing, calls, solver))
            errors.append(np.sqrt(np.mean(np.square(approximate - exact))))
        print(f"{calls:5}" + "".join(f"{error:19.4f}" for error in errors))


def print_bfloat16_difference(exact: Teacher, half: Teacher, sample: Sample) -> None:
    """Prints the share of uint8 values that differ from float32, and by how much."""
    config = SamplerConfig("uniform", 50, "ddim")
    pixels = [
        images.to_uint8(sample(teacher, config)).numpy().astype(int)
        for teacher in (exact, half)
    ]
    difference = np.abs(pixels[0] - pixels[1])
    print(
        f"bfloat16 network, 50 calls: {np.mean(difference > 0):.1%} of the uint8 "
        f"values differ, by {difference.mean():.2f} on average and {difference.max()} "
        "at most"
    )


def main() -> None:
    """Prints the errors and the effect of bfloat16."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher_dir", required=True)
    parser.add_argument("--images", type=int, default=64)
    arguments = parser.parse_args()
    teacher, half = (
        Teacher.load(arguments.teacher_dir, dtype=dtype)
        for dtype in ("float32", "bfloat16")
    )
    indices = noise.EVALUATION + np.arange(arguments.images)
    z = noise.normal(0, indices, teacher.image_shape)

    def sample(teacher: Teacher, config: SamplerConfig) -> np.ndarray:
        return tf.function(teacher.sampler(config))(z).numpy()

    print_errors(teacher, sample)
    print_bfloat16_difference(teacher, half, sample)


if __name__ == "__main__":
    main()
