"""Prints how far each solver is from a DDIM trajectory of 1000 steps.

    python benchmarks/solvers.py --teacher_dir=runs/demo/teacher

The error is the root of the mean square over images on the same noise, in units of the
image's range [-1, 1]; and the last lines say what a bfloat16 network changes.
"""

import argparse

import numpy as np
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models import model_directory
from tf_student.runtime import run_directory
from tf_student.training.teacher_task import make_sampler

SPACINGS = ("uniform", "quadratic", "log_snr")


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher_dir", required=True)
    parser.add_argument("--images", type=int, default=64)
    arguments = parser.parse_args()
    directory = arguments.teacher_dir
    diffusion = run_directory.read_config(directory, "diffusion", DiffusionConfig)
    teachers = {
        name: model_directory.load_teacher(directory, name)
        for name in ("float32", "bfloat16")
    }
    shape = teachers["float32"].config.image_shape
    z = noise.normal(0, noise.EVALUATION + np.arange(arguments.images), shape)

    def run(solver, spacing, calls, dtype="float32"):
        config = SamplerConfig(spacing, calls, solver)
        sample = make_sampler(teachers[dtype], diffusion, config)
        return tf.function(sample)(z).numpy()

    exact = run("ddim", "uniform", 1000)
    ways = [(s, p) for p in SPACINGS for s in ("ddim", "dpm++2m")]
    print("calls" + "".join(f"{f'{s} {p}':>19}" for s, p in ways))
    for calls in (10, 20, 50, 100):
        errors = [np.sqrt(np.mean(np.square(run(*way, calls) - exact))) for way in ways]
        print(f"{calls:5}" + "".join(f"{error:19.4f}" for error in errors))
    pixels = {
        dtype: images.to_uint8(run("ddim", "uniform", 50, dtype)).numpy().astype(int)
        for dtype in teachers
    }
    apart = np.abs(pixels["float32"] - pixels["bfloat16"])
    print(
        f"bfloat16 network, 50 calls: {np.mean(apart > 0):.1%} of the uint8 values "
        f"differ, by {apart.mean():.2f} in the mean and {apart.max()} at most"
    )


if __name__ == "__main__":
    main()
