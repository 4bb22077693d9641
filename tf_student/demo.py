"""All commands on small real images, and one page with the results."""

import os

from absl import logging

from tf_student.evaluation import report
from tf_student.evaluation.evaluate import evaluate
from tf_student.evaluation.result import Evaluation
from tf_student.models.draw import draw_interpolations, draw_samples
from tf_student.models.draw_config import InterpolateConfig, SampleConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.pairs.make_pairs import make_pairs
from tf_student.pairs.reader import PairSet
from tf_student.presets import systems
from tf_student.presets.systems import Preset
from tf_student.runtime import leftovers
from tf_student.runtime.run_config import RunConfig
from tf_student.serving import versions
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig
from tf_student.training.distill import distill
from tf_student.training.match_distribution import match_distribution
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

    Writes `report.html` and its pictures, and the matched student as version 1 of the
    model `name`, which is loaded in a process without this package.

    Args:
        directory: of the demo.
        preset: the system.
        run: how to use the devices.
        name: of the exported model.
        progress: whether to draw progress bars on stderr.

    Returns:
        The evaluation of the teacher, the student and the matched student.

    Example:

    >>> evaluation = run_demo("runs/demo", preset=tiny, run=RunConfig(device_batch=32))
    """
    teacher, pairs, student = _train(directory, preset, run, progress)
    matched = _match(teacher, pairs, student, directory, preset, run, progress)
    _draw(teacher, student, matched, directory, preset, run)
    evaluation = evaluate(
        teacher,
        student,
        directory,
        matched=matched,
        real=preset.data,
        pairs=pairs,
        config=preset.evaluate,
        sampler=preset.sampler,
        run=run,
        progress=progress,
    )
    _export(matched, os.path.join(directory, "export"), name)
    _report(directory, evaluation)
    return evaluation


def _train(
    directory: str, preset: Preset, run: RunConfig, progress: bool
) -> tuple[Teacher, PairSet, Student]:
    paths = [os.path.join(directory, n) for n in ("teacher", "pairs", "student")]
    teacher = train_teacher(
        paths[0],
        data=preset.data,
        unet=preset.unet,
        diffusion=preset.diffusion,
        train=preset.teacher,
        sampler=preset.sampler,
        log=preset.log,
        run=run,
        progress=progress,
    )
    pairs = make_pairs(
        teacher,
        paths[1],
        config=preset.pairs,
        sampler=preset.sampler,
        run=run,
        progress=progress,
    )
    assert pairs is not None  # This process makes all shards.
    student = distill(
        teacher,
        pairs,
        paths[2],
        config=preset.distill,
        train=preset.student,
        log=preset.log,
        run=run,
        progress=progress,
    )
    return teacher, pairs, student


def _match(
    teacher: Teacher,
    pairs: PairSet,
    student: Student,
    directory: str,
    preset: Preset,
    run: RunConfig,
    progress: bool,
) -> Student:
    return match_distribution(
        teacher,
        student,
        os.path.join(directory, "matched"),
        config=preset.match,
        pairs=pairs,
        train=preset.matching,
        log=preset.log,
        run=run,
        progress=progress,
    )


def _draw(
    teacher: Teacher,
    student: Student,
    matched: Student,
    directory: str,
    preset: Preset,
    run: RunConfig,
) -> None:
    draw_samples(
        teacher,
        student,
        directory,
        matched=matched,
        config=SampleConfig(count=48),
        sampler=preset.sampler,
        run=run,
    )
    walks = InterpolateConfig(columns=16)
    draw_interpolations(matched, directory, config=walks, run=run)


def _export(student: Student, directory: str, name: str) -> None:
    if versions.numbers(directory):
        return
    config = ExportConfig(verify=True)
    exported = export(student, directory, config=config, preset=name, thorough=False)
    if exported.verification:
        logging.info("%s", exported.verification.text())


def _report(directory: str, evaluation: Evaluation) -> None:
    """Draws the loss curves, and writes the page with all pictures."""

    def part(name: str) -> str:
        return os.path.join(directory, name)

    leftovers.remove(directory, {"curves.png", "report.html"}.__contains__)
    runs = {name: part(name) for name in ("teacher", "student", "matched")}
    report.draw_curves(
        part("curves.png"), {name: read_metrics(run) for name, run in runs.items()}
    )
    report.write_report(
        part("report.html"),
        f"tf-student: {evaluation.real}",
        evaluation,
        {
            "The same noise, three rows at a time: teacher, student, matched student": (
                part("samples.png")
            ),
            "Matched student: spherical interpolation of the noise": (
                part("interpolation.png")
            ),
            "Losses": part("curves.png"),
        },
    )
