"""The whole road on small real images, and one page about it."""

import os
import subprocess
import sys

import tensorflow as tf
from absl import logging

from tf_student.config import InterpolateConfig, RunConfig, SampleConfig
from tf_student.evaluation import report
from tf_student.evaluation.result import Evaluation
from tf_student.presets import Preset
from tf_student.stations import distill, draw, evaluate, export, pairs, teacher
from tf_student.training.reporter import read_metrics

# Run with the export as its argument, where this package cannot be imported.
_STRANGER = """
import sys
sys.modules["tf_student"] = None
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["sample"]
images = served(seed=tf.constant(0, tf.int64), count=tf.constant(4))["images"]
print(f"{images.shape[0]} images of {images.shape[1:]}, {images.dtype.name}")
"""


def run_demo(
    directory: str, system: Preset, run: RunConfig, *, progress: bool = False
) -> Evaluation:
    """Runs every station below `directory`, going on where an earlier run stopped.

    Leaves `report.html` and its pictures there.

    Returns:
        The evaluation of teacher and student.
    """

    def part(name: str) -> str:
        return os.path.join(directory, name)

    paths = part("teacher"), part("pairs"), part("student")
    teacher.train_teacher(paths[0], system, run, progress=progress)
    pairs.make_pairs(paths[1], paths[0], system, run, progress=progress)
    distill.distill(paths[2], *paths[:2], system, run, progress=progress)
    both = SampleConfig(what="both", count=48)
    draw.sample(directory, paths[0], paths[2], both, system.sampler, run)
    draw.interpolate(directory, paths[2], InterpolateConfig(columns=16), run)
    evaluation = evaluate.evaluate(directory, *paths, system, run, progress=progress)
    if not tf.io.gfile.exists(part("export")):
        export.export(part("export"), paths[2])
    found = _sample_as_stranger(part("export"))
    logging.info("A process without this package sampled %s.", found)
    report.draw_curves(
        part("curves.png"),
        {"Teacher": read_metrics(paths[0]), "Student": read_metrics(paths[2])},
    )
    report.write_report(
        part("report.html"),
        f"tf-student: {evaluation.real}",
        evaluation,
        {
            "Teacher (upper rows) and student (lower rows) on the same noise": part(
                "samples.png"
            ),
            "Student: spherical interpolation of the noise": part("interpolation.png"),
            "Losses": part("curves.png"),
        },
    )
    return evaluation


def _sample_as_stranger(export_directory: str) -> str:
    """Loads the SavedModel in a fresh process that cannot import this package."""
    process = subprocess.run(
        [sys.executable, "-c", _STRANGER, export_directory],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise RuntimeError(f"The SavedModel does not stand alone:\n{process.stderr}")
    return process.stdout.strip()
