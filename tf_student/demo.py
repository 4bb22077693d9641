"""All commands on small real images, and one page with the results."""

import os

from absl import logging

from tf_student.evaluation import report
from tf_student.evaluation.evaluate import evaluate
from tf_student.evaluation.result import Evaluation
from tf_student.models.draw import draw_interpolations, draw_samples
from tf_student.models.draw_config import InterpolateConfig, SampleConfig
from tf_student.models.student import Student
from tf_student.pairs.make_pairs import make_pairs
from tf_student.presets import systems
from tf_student.presets.systems import Preset
from tf_student.runtime.run_config import RunConfig
from tf_student.serving import versions
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig
from tf_student.training.distill import distill
from tf_student.training.reporter import read_metrics
from tf_student.training.train_teacher import train_teacher


def run_demo(
    directory: str,
    *,
    preset: Preset = systems.DIGITS,
    run: RunConfig = RunConfig(),
    name: str = "digits",
    progress: bool = False,
) -> Evaluation:
    """Runs every command below `directory`; an interrupted call continues there.

    Writes `report.html` and its pictures, and the student as version 1 of the model
    `name`, which is loaded in a process without this package.

    Args:
        directory: of the demo.
        preset: the system.
        run: how to use the devices.
        name: of the exported model.
        progress: whether to draw progress bars on stderr.

    Returns:
        The evaluation of teacher and student.

    Example:

    >>> print(run_demo("runs/demo"))
    """

    def part(name: str) -> str:
        return os.path.join(directory, name)

    options = {"run": run, "progress": progress}
    teacher = train_teacher(
        part("teacher"),
        data=preset.data,
        unet=preset.unet,
        diffusion=preset.diffusion,
        train=preset.teacher,
        sampler=preset.sampler,
        log=preset.log,
        **options,
    )
    pairs = make_pairs(
        teacher, part("pairs"), config=preset.pairs, sampler=preset.sampler, **options
    )
    assert pairs is not None  # This process makes all shards.
    student = distill(
        teacher,
        pairs,
        part("student"),
        config=preset.distill,
        train=preset.student,
        log=preset.log,
        **options,
    )
    samples = SampleConfig(count=48)
    draw_samples(
        teacher, student, directory, config=samples, sampler=preset.sampler, run=run
    )
    draw_interpolations(
        student, directory, config=InterpolateConfig(columns=16), run=run
    )
    evaluation = evaluate(
        teacher,
        student,
        directory,
        real=preset.data,
        pairs=pairs,
        config=preset.evaluate,
        sampler=preset.sampler,
        **options,
    )
    _export(student, part("export"), name)
    _report(
        directory, evaluation, {"Teacher": part("teacher"), "Student": part("student")}
    )
    return evaluation


def _export(student: Student, directory: str, name: str) -> None:
    if versions.numbers(directory):
        return
    config = ExportConfig(verify=True)
    exported = export(student, directory, config=config, preset=name, thorough=False)
    if exported.verification:
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
