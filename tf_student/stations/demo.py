"""The whole road on small real images, and one page about it."""

import os

from absl import logging

from tf_student.config import InterpolateConfig, RunConfig, SampleConfig
from tf_student.evaluation import report
from tf_student.evaluation.result import Evaluation
from tf_student.presets import Preset
from tf_student.serving import versions
from tf_student.serving.config import ExportConfig
from tf_student.stations import distill, draw, evaluate, export, pairs, teacher
from tf_student.training.reporter import read_metrics


def run_demo(
    directory: str,
    system: Preset,
    run: RunConfig,
    *,
    name: str = "digits",
    progress: bool = False,
) -> Evaluation:
    """Runs every station below `directory`, going on where an earlier run stopped.

    Leaves `report.html` and its pictures there, and the student as version 1 of the
    model `name`, which a process without this package has loaded.

    Returns:
        The evaluation of teacher and student.
    """
    paths = [os.path.join(directory, n) for n in ("teacher", "pairs", "student")]
    teacher.train_teacher(paths[0], system, run, progress=progress)
    pairs.make_pairs(paths[1], paths[0], system, run, progress=progress)
    distill.distill(paths[2], paths[0], paths[1], system, run, progress=progress)
    both = SampleConfig(what="both", count=48)
    draw.sample(directory, paths[0], paths[2], both, system.sampler, run)
    draw.interpolate(directory, paths[2], InterpolateConfig(columns=16), run)
    evaluation = evaluate.evaluate(directory, *paths, system, run, progress=progress)
    _export(os.path.join(directory, "export"), paths[2], name)
    _report(directory, evaluation, {"Teacher": paths[0], "Student": paths[2]})
    return evaluation


def _export(base: str, student_directory: str, name: str) -> None:
    if versions.numbers(base):
        return
    config = ExportConfig(verify=True)
    exported = export.export(base, student_directory, name, config, thorough=False)
    logging.info("%s", exported.verification.text())


def _report(directory: str, evaluation: Evaluation, runs: dict[str, str]) -> None:
    """Draws the runs' curves, and writes the page around all pictures."""

    def part(name: str) -> str:
        return os.path.join(directory, name)

    report.draw_curves(
        part("curves.png"), {who: read_metrics(run) for who, run in runs.items()}
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
