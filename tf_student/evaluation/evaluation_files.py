"""The files of an evaluation."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator

import tensorflow as tf

from tf_student.evaluation import report
from tf_student.evaluation.pictures import Picture
from tf_student.evaluation.result import Evaluation
from tf_student.evaluation.statistics import Statistics
from tf_student.runtime import files, leftovers

# The folder of the cache.
FEATURES = "features"


# Which files an evaluation writes, by folder.
_OWN = {
    "": re.compile(r"evaluation\.(json|html)"),
    "evaluation": re.compile(r".+\.png"),
    "statistics": re.compile(r".+\.npz"),
    FEATURES: re.compile(r"[0-9a-f]{40}\.npz"),
}


@contextlib.contextmanager
def tidied(directory: str | None) -> Iterator[None]:
    """Removes what dead evaluations left, unless others write to the directory."""
    if directory is None:
        yield
        return

    def tidy(age: float) -> None:
        for folder, names in _OWN.items():
            leftovers.remove(os.path.join(directory, folder), names.fullmatch, age)

    with leftovers.shared(directory, tidy):
        yield


def write(
    directory: str,
    evaluation: Evaluation,
    pictures: list[Picture],
    statistics: dict[str, Statistics],
) -> None:
    """Writes `evaluation.json`, `evaluation.html`, `evaluation/` and `statistics/`.

    Args:
        directory: created if it is missing.
        evaluation: the figures, for the table.
        pictures: written below `evaluation/` and shown on the page.
        statistics: of the features, by the name of their file.
    """

    def path(*names: str) -> str:
        return os.path.join(directory, *names)

    for folder in ("evaluation", "statistics"):
        tf.io.gfile.makedirs(path(folder))
    paths = {}
    for picture in pictures:
        paths[picture.caption] = path("evaluation", f"{picture.name}.png")
        picture.write(paths[picture.caption])
    for name, stats in statistics.items():
        stats.save(path("statistics", f"{name}.npz"))
    title = f"tf-student: {', '.join(evaluation.networks)} against {evaluation.real}"
    report.write_report(path("evaluation.html"), title, evaluation, paths)
    files.write_json(path("evaluation.json"), dataclasses.asdict(evaluation))
