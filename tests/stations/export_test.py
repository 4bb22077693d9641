import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.stations.conftest import RUN, TINY
from tf_student import model_directory, noise
from tf_student.config import SampleConfig
from tf_student.errors import InputError, VerificationError
from tf_student.pairs import records
from tf_student.serving import metadata, verification
from tf_student.serving.config import ExportConfig
from tf_student.stations import draw
from tf_student.stations.export import export

_SHAPE = (8, 8, 1)


def _sample(directory, count=4):
    served = tf.saved_model.load(directory).signatures["sample"]
    return served(seed=tf.constant(0, tf.int64), count=tf.constant(count))[
        "images"
    ].numpy()


def _read(folder):
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    return np.stack([tf.io.decode_png(tf.io.read_file(path)) for path in paths])


def _near(images, expected):
    difference = np.abs(images.astype(int) - expected)
    return difference.max() <= 1 and (difference > 0).mean() < 0.02


def _fingerprint(road, checkpoint):
    """Of the student with the weights that TensorFlow reads from a checkpoint."""
    reader = tf.train.load_checkpoint(checkpoint)
    student = model_directory.load_student(road.student)
    for number, variable in enumerate(student.variables):
        key = f"model/{number}/.ATTRIBUTES/VARIABLE_VALUE"
        variable.assign(reader.get_tensor(key))
    return model_directory.fingerprint(student.unet)


@pytest.fixture(scope="module")
def drawn(road, tmp_path_factory):
    """What `tf-student sample` draws with both networks."""
    directory = str(tmp_path_factory.mktemp("drawn"))
    both = SampleConfig(what="both", count=4)
    draw.sample(directory, road.teacher, road.student, both, TINY.sampler, RUN)
    return {who: _read(f"{directory}/samples/{who}") for who in ("teacher", "student")}


@pytest.fixture(scope="module")
def teacher(road, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("teacher"))
    config = ExportConfig(what="teacher")
    return export(base, road.teacher, "digits", config, TINY.sampler)


def test_metadata_says_where_the_student_comes_from(road):
    about = metadata.read(road / "export/1")
    manifest = records.read_manifest(road.pairs)
    student = model_directory.load_student(road.student)
    assert (about.name, about.network, about.preset) == ("digits", "student", "digits")
    assert (about.network_calls, about.image_shape) == (1, _SHAPE)
    assert (about.dtype, about.ops, about.weights) == ("float32", "stock", "ema")
    assert about.parameters == student.count_params()
    assert about.fingerprint == model_directory.fingerprint(student.unet)
    assert about.teacher == manifest.teacher
    assert about.pairs == records.fingerprint(manifest)


def test_student_answers_what_sample_draws(road, drawn):
    assert _near(_sample(road / "export/1"), drawn["student"])


def test_teacher_brings_its_sampler(teacher, drawn):
    assert _near(_sample(teacher.directory), drawn["teacher"])
    about = metadata.read(teacher.directory)
    assert (about.name, about.network) == ("digits_teacher", "teacher")
    assert (about.network_calls, about.teacher) == (3, "")


def test_teacher_is_no_version_of_the_student(road, contents):
    before = contents(road / "export")
    with pytest.raises(InputError, match="name=digits, received: name=digits_teacher"):
        export(road / "export", road.teacher, "digits", ExportConfig(what="teacher"))
    assert contents(road / "export") == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_halve_the_weights(road, drawn, tmp_path, dtype):
    config = ExportConfig(dtype=dtype, name="half")
    directory = export(str(tmp_path), road.student, "digits", config).directory
    about = metadata.read(directory)
    assert about.fingerprint == metadata.read(road / "export/1").fingerprint
    data = "variables/variables.data-00000-of-00001"
    half, whole = (
        os.path.getsize(os.path.join(path, data))
        for path in (directory, road / "export/1")
    )
    assert half < whole - 1.9 * about.parameters
    difference = np.abs(_sample(directory).astype(int) - drawn["student"])
    assert difference.max() <= 127.5 * verification.TOLERANCE[dtype] + 1


def test_weights_of_the_last_checkpoint_are_others(road, tmp_path):
    config = ExportConfig(weights="last")
    directory = export(str(tmp_path), road.student, "digits", config).directory
    about = metadata.read(directory)
    assert about.weights == "last"
    assert about.fingerprint != metadata.read(road / "export/1").fingerprint
    assert about.fingerprint == _fingerprint(road, f"{road.student}/checkpoints")


def test_damaged_last_checkpoint_gives_way_to_the_one_before(road, tmp_path, caplog):
    shutil.copytree(road.student, tmp_path / "student")
    folder = tmp_path / "student" / "checkpoints"
    last = tf.train.latest_checkpoint(str(folder))
    before = tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths[-2]
    os.truncate(f"{last}.data-00000-of-00001", 100)
    base, config = str(tmp_path / "base"), ExportConfig(weights="last")
    exported = export(base, str(tmp_path / "student"), "digits", config)
    about = metadata.read(exported.directory)
    assert about.fingerprint == _fingerprint(road, before)
    assert f"The checkpoint {last} cannot be restored" in caplog.text


def test_missing_checkpoint_is_refused(road, tmp_path):
    shutil.copytree(road.student, tmp_path / "student")
    shutil.rmtree(tmp_path / "student" / "checkpoints")
    config = ExportConfig(weights="last")
    with pytest.raises(InputError, match="holds no checkpoints"):
        export(str(tmp_path / "base"), str(tmp_path / "student"), "digits", config)
    assert not (tmp_path / "base").exists()


def test_broken_checkpoint_is_refused(road, tmp_path):
    shutil.copytree(road.student, tmp_path / "student")
    path = tmp_path / "student" / "model.keras"
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(InputError, match=r"model.keras cannot be loaded"):
        export(str(tmp_path / "base"), str(tmp_path / "student"), "digits")
    assert not (tmp_path / "base").exists()


def test_model_that_is_something_else_never_appears(road, tmp_path, monkeypatch):
    def refuse(directory, generate, shape, **options):
        z = noise.normal(0, range(2), shape)
        assert generate(z).shape == (2, *_SHAPE)
        raise VerificationError(f"{directory} is something else")

    monkeypatch.setattr(verification, "verify", refuse)
    with pytest.raises(VerificationError, match="something else"):
        export(str(tmp_path), road.student, "digits", ExportConfig(verify=True))
    assert list(tmp_path.iterdir()) == []
