"""What version 0.1 wrote is still read: `version_0_1.tar.xz` has a work directory.

It was made with a UNet of width 4 and the preset `digits`: 8 steps of a teacher, 24
pairs, 8 steps of a student whose checkpoint is that of step 4, and an export.
"""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_student as ts
from tf_student.gallery.exported_models import ExportedModel
from tf_student.serving import metadata

STEPS = (
    "--steps=8 --batch_size=8 --warmup_steps=0 --decay_steps=0 --log_every=4 "
    "--checkpoint_every=4 --evaluate_every=4 --deterministic"
)


@pytest.fixture
def old(tmp_path):
    with tarfile.open(Path(__file__).with_name("version_0_1.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def same_weights(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def test_a_teacher_loads_and_is_the_one_that_made_the_pairs(old):
    teacher = ts.Teacher.load(str(old / "teacher"))
    pairs = ts.PairSet(str(old / "pairs"))
    assert teacher.fingerprint == pairs.manifest.teacher
    assert ts.RunDirectory.open(str(old / "teacher")).network == "teacher"


def test_a_pair_set_is_whole_and_has_the_teachers_images(old):
    findings = ts.check_pairs(str(old / "teacher"), str(old / "pairs"), images=8)
    assert (findings.to_generate, findings.compared, findings.largest) == ([], 8, 0)


def test_a_student_loads_with_its_origin(old):
    student = ts.Student.load(str(old / "student"))
    pairs = ts.PairSet(str(old / "pairs"))
    assert student.origin.teacher == pairs.manifest.teacher
    assert student.origin.pairs == pairs.fingerprint


def test_keras_loads_a_student(old):
    student = keras.models.load_model(old / "student" / "model.keras")
    assert type(student) is ts.Student
    assert same_weights(student, ts.Student.load(str(old / "student")))


def test_keras_loads_a_teachers_unet(old):
    unet = keras.models.load_model(old / "teacher" / "model.keras")
    assert type(unet) is ts.UNet
    assert same_weights(unet, ts.Teacher.load(str(old / "teacher")).unet)


def distance(a, b):
    pairs = zip(a.get_weights(), b.get_weights(), strict=True)
    return np.sqrt(sum(np.sum(np.square(x - y)) for x, y in pairs))


def test_an_interrupted_student_continues_as_it_would_have(old):
    shutil.copy(old / "student" / "model.keras", old / "expected.keras")
    (old / "student" / "model.keras").unlink()
    command = [sys.executable, "-m", "tf_student.flags.distill", "--preset=digits"]
    done = subprocess.run(
        [*command, f"--work_dir={old}", *STEPS.split()],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    continued = ts.Student.load(str(old / "student"))
    expected = keras.models.load_model(old / "expected.keras")
    # Not the same bits: those depend on the instructions of the CPU.
    moved = distance(expected, ts.Teacher.load(str(old / "teacher")).unet)
    assert 0 < moved
    assert distance(continued, expected) < 1e-4 * moved


def test_an_interrupted_student_refuses_other_values(old):
    command = [sys.executable, "-m", "tf_student.flags.distill", "--preset=digits"]
    done = subprocess.run(
        [*command, f"--work_dir={old}", *STEPS.split(), "--seed=1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "seed=0" in done.stderr


def test_an_export_draws_the_students_images(old):
    model = tf.saved_model.load(str(old / "export" / "1"))
    seed, count = tf.constant(7, tf.int64), tf.constant(4)
    images = model.signatures["sample"](seed=seed, count=count)["images"]
    student = ts.Student.load(str(old / "student"))
    assert np.array_equal(images, student.generate(4, seed=7))


def test_an_export_is_described_and_shown(old):
    about = metadata.read(str(old / "export" / "1"))
    assert (about.network, about.tf_student) == ("student", "0.1.0")
    assert ExportedModel(str(old / "export")).shape == (8, 8, 1)
