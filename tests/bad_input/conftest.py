"""A folder of inputs, and the faults that command lines show in it."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.bad_input import many_runs, path_values


@pytest.fixture(scope="session")
def small_run(shared, once):
    """A run with teacher, student, pairs and an exported model; the smallest."""
    directory = shared / "small_run"
    once("small_run", lambda: _make(directory))
    return directory


def _make(directory: Path) -> None:
    # Imported here, because the tests of flags do not need it.
    from tests.tiny_run import RUN, TINY
    from tf_student.models.student import Origin, Student
    from tf_student.pairs.make_pairs import make_pairs
    from tf_student.serving.export import export
    from tf_student.training.train_teacher import train_teacher

    teacher = train_teacher(
        str(directory / "teacher"),
        unet=TINY.unet,
        diffusion=TINY.diffusion,
        train=dataclasses.replace(TINY.teacher, steps=1, batch_size=4),
        sampler=TINY.sampler,
        run=RUN,
    )
    pairs = make_pairs(
        teacher,
        str(directory / "pairs"),
        config=TINY.pairs,
        sampler=TINY.sampler,
        run=RUN,
    )
    origin = Origin(pairs.manifest.teacher, pairs.fingerprint)
    student = Student(teacher.unet.copy(), teacher.diffusion, origin=origin)
    student.save(str(directory / "student"))
    shutil.copytree(directory / "student", directory / "matched")
    export(str(directory / "student"), str(directory / "export"))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with files, links and folders in wrong places."""
    root = tmp_path_factory.mktemp("bad_input")
    many_runs.prepare(root)
    path_values.make_places(root)
    return root


@pytest.fixture(scope="module")
def root(places, small_run):
    """The same, with a run in the subfolder `whole`."""
    shutil.copytree(small_run, places / "whole", symlinks=True)
    return places
