import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.diffusion import noise
from tf_student.models import draw, model_directory
from tf_student.models.draw_config import SampleConfig
from tf_student.pairs import manifests
from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import metadata, verification
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

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


def _fingerprint(demo_run, checkpoint):
    """Of the student with the weights that TensorFlow reads from a checkpoint."""
    reader = tf.train.load_checkpoint(checkpoint)
    student = model_directory.load_student(demo_run.student)
    for number, variable in enumerate(student.variables):
        key = f"model/{number}/.ATTRIBUTES/VARIABLE_VALUE"
        variable.assign(reader.get_tensor(key))
    return model_directory.fingerprint(student.unet)


@pytest.fixture(scope="module")
def drawn(demo_run, tmp_path_factory):
    """What `tf-student sample` draws with both networks."""
    directory = str(tmp_path_factory.mktemp("drawn"))
    both = SampleConfig(what="both", count=4)
    draw.sample(directory, demo_run.teacher, demo_run.student, both, TINY.sampler, RUN)
    return {who: _read(f"{directory}/samples/{who}") for who in ("teacher", "student")}


@pytest.fixture(scope="module")
def teacher(demo_run, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("teacher"))
    config = ExportConfig(what="teacher")
    return export(base, demo_run.teacher, "digits", config, TINY.sampler)


def test_metadata_says_where_the_student_comes_from(demo_run):
    about = metadata.read(demo_run / "export/1")
    manifest = manifests.read(demo_run.pairs)
    student = model_directory.load_student(demo_run.student)
    assert (about.name, about.network, about.preset) == ("digits", "student", "digits")
    assert (about.network_calls, about.image_shape) == (1, _SHAPE)
    assert (about.dtype, about.ops, about.weights) == ("float32", "stock", "ema")
    assert about.parameters == student.count_params()
    assert about.fingerprint == model_directory.fingerprint(student.unet)
    assert about.teacher == manifest.teacher
    assert about.pairs == manifests.fingerprint(manifest)


def test_student_answers_what_sample_draws(demo_run, drawn):
    assert _near(_sample(demo_run / "export/1"), drawn["student"])


def test_teacher_brings_its_sampler(teacher, drawn):
    assert _near(_sample(teacher.directory), drawn["teacher"])
    about = metadata.read(teacher.directory)
    assert (about.name, about.network) == ("digits_teacher", "teacher")
    assert (about.network_calls, about.teacher) == (3, "")


def test_teacher_is_no_version_of_the_student(demo_run, contents):
    before = contents(demo_run / "export")
    with pytest.raises(InputError, match="name=digits, received: name=digits_teacher"):
        export(
            demo_run / "export",
            demo_run.teacher,
            "digits",
            ExportConfig(what="teacher"),
        )
    assert contents(demo_run / "export") == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_halve_the_weights(demo_run, drawn, tmp_path, dtype):
    config = ExportConfig(dtype=dtype, name="half")
    directory = export(str(tmp_path), demo_run.student, "digits", config).directory
    about = metadata.read(directory)
    assert about.fingerprint == metadata.read(demo_run / "export/1").fingerprint
    data = "variables/variables.data-00000-of-00001"
    half, whole = (
        os.path.getsize(os.path.join(path, data))
        for path in (directory, demo_run / "export/1")
    )
    assert half < whole - 1.9 * about.parameters
    difference = np.abs(_sample(directory).astype(int) - drawn["student"])
    assert difference.max() <= 127.5 * verification.TOLERANCE[dtype] + 1


def test_weights_of_the_last_checkpoint_are_others(demo_run, tmp_path):
    config = ExportConfig(weights="last")
    directory = export(str(tmp_path), demo_run.student, "digits", config).directory
    about = metadata.read(directory)
    assert about.weights == "last"
    assert about.fingerprint != metadata.read(demo_run / "export/1").fingerprint
    assert about.fingerprint == _fingerprint(
        demo_run, f"{demo_run.student}/checkpoints"
    )


def test_damaged_last_checkpoint_gives_way_to_the_one_before(
    demo_run, tmp_path, caplog
):
    shutil.copytree(demo_run.student, tmp_path / "student")
    folder = tmp_path / "student" / "checkpoints"
    last = tf.train.latest_checkpoint(str(folder))
    before = tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths[-2]
    os.truncate(f"{last}.data-00000-of-00001", 100)
    base, config = str(tmp_path / "base"), ExportConfig(weights="last")
    exported = export(base, str(tmp_path / "student"), "digits", config)
    about = metadata.read(exported.directory)
    assert about.fingerprint == _fingerprint(demo_run, before)
    assert f"The checkpoint {last} cannot be restored" in caplog.text


def test_missing_checkpoint_is_refused(demo_run, tmp_path):
    shutil.copytree(demo_run.student, tmp_path / "student")
    shutil.rmtree(tmp_path / "student" / "checkpoints")
    config = ExportConfig(weights="last")
    with pytest.raises(InputError, match="holds no checkpoints"):
        export(str(tmp_path / "base"), str(tmp_path / "student"), "digits", config)
    assert not (tmp_path / "base").exists()


def test_broken_checkpoint_is_refused(demo_run, tmp_path):
    shutil.copytree(demo_run.student, tmp_path / "student")
    path = tmp_path / "student" / "model.keras"
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(InputError, match=r"model.keras cannot be loaded"):
        export(str(tmp_path / "base"), str(tmp_path / "student"), "digits")
    assert not (tmp_path / "base").exists()


def test_model_that_is_something_else_never_appears(demo_run, tmp_path, monkeypatch):
    def refuse(directory, generate, shape, **options):
        z = noise.normal(0, range(2), shape)
        assert generate(z).shape == (2, *_SHAPE)
        raise VerificationError(f"{directory} is something else")

    monkeypatch.setattr(verification, "verify", refuse)
    with pytest.raises(VerificationError, match="something else"):
        export(str(tmp_path), demo_run.student, "digits", ExportConfig(verify=True))
    assert list(tmp_path.iterdir()) == []
