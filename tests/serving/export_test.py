import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.tiny_run import RUN, TINY
from tf_student.diffusion import noise
from tf_student.models.student import Origin, Student
from tf_student.models.teacher import Teacher
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import metadata, verification, warmup
from tf_student.serving.export import export
from tf_student.serving.export_config import ExportConfig

_SHAPE = (8, 8, 1)


def _sample(directory, count=4):
    served = tf.saved_model.load(directory).signatures["sample"]
    return served(seed=tf.constant(0, tf.int64), count=tf.constant(count))[
        "images"
    ].numpy()


def _near(images, expected):
    difference = np.abs(images.astype(int) - expected)
    return difference.max() <= 1 and (difference > 0).mean() < 0.02


def _fingerprint(demo_run, checkpoint):
    """Of the student with the weights that TensorFlow reads from a checkpoint."""
    reader = tf.train.load_checkpoint(checkpoint)
    student = Student.load(demo_run.matched)
    for number, variable in enumerate(student.variables):
        key = f"model/{number}/.ATTRIBUTES/VARIABLE_VALUE"
        variable.assign(reader.get_tensor(key))
    return student.unet.fingerprint()


@pytest.fixture(scope="module")
def drawn(demo_run):
    """The images of both networks for seed 0, which `tf-student sample` draws too."""
    teacher, student = Teacher.load(demo_run.teacher), Student.load(demo_run.matched)
    return {
        "teacher": teacher.sample(4, seed=0, sampler=TINY.sampler, run=RUN),
        "matched": student.generate(4, seed=0, run=RUN),
    }


@pytest.fixture(scope="module")
def teacher(demo_run, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("teacher"))
    return export(demo_run.teacher, base, sampler=TINY.sampler, preset="digits")


def test_metadata_have_the_origin_of_the_student(demo_run):
    about = metadata.read(demo_run / "export/1")
    pairs, student = PairSet(demo_run.pairs), Student.load(demo_run.matched)
    assert (about.name, about.network, about.preset) == ("digits", "student", "digits")
    assert (about.network_calls, about.image_shape) == (1, _SHAPE)
    assert (about.dtype, about.ops, about.weights) == ("float32", "stock", "ema")
    assert about.parameters == student.count_params()
    assert about.fingerprint == student.unet.fingerprint()
    assert about.teacher == pairs.manifest.teacher
    assert about.pairs == pairs.fingerprint


def _assert_equal_exports(first, second):
    assert metadata.read(first) == metadata.read(second)
    np.testing.assert_array_equal(_sample(first), _sample(second))
    data = "variables/variables.data-00000-of-00001"
    sizes = [os.path.getsize(f"{directory}/{data}") for directory in (first, second)]
    # The file also has a description of the objects, which depends on the replicas.
    assert abs(sizes[0] - sizes[1]) < 1000 < sizes[0] / 10


def test_student_and_its_directory_give_the_same_model(demo_run, tmp_path):
    exports = [
        export(student, str(tmp_path / name), preset="digits").directory
        for name, student in (
            ("directory", demo_run.matched),
            ("object", Student.load(demo_run.matched)),
        )
    ]
    _assert_equal_exports(*exports)


def test_teacher_and_its_directory_give_the_same_model(demo_run, teacher, tmp_path):
    loaded = Teacher.load(demo_run.teacher)
    exported = export(loaded, str(tmp_path), sampler=TINY.sampler, preset="digits")
    _assert_equal_exports(teacher.directory, exported.directory)


def test_origin_of_an_object_is_in_the_metadata(model, tmp_path):
    student = Student(model.student.unet, origin=Origin("the teacher", "the pairs"))
    about = metadata.read(export(student, str(tmp_path)).directory)
    assert (about.teacher, about.pairs) == ("the teacher", "the pairs")
    assert (about.name, about.preset) == ("model", "")


def test_object_of_a_mixed_policy_becomes_a_float32_model(demo_run, tmp_path):
    mixed = Student.load(demo_run.matched, dtype="bfloat16")
    exported = export(mixed, str(tmp_path), preset="digits")
    _assert_equal_exports(demo_run / "export/1", exported.directory)


def test_object_on_two_replicas_is_exported_once(model, tmp_path):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        student = Student(model.student.unet.copy())
    single = export(model.student, str(tmp_path / "single")).directory
    _assert_equal_exports(single, export(student, str(tmp_path / "two")).directory)


def test_directory_without_a_network_is_refused(demo_run, tmp_path):
    with pytest.raises(InputError, match="must be a run's directory"):
        export(demo_run.pairs, str(tmp_path))
    (tmp_path / "config.json").write_text('{"tf_student": "1", "command": "other"}')
    with pytest.raises(
        InputError, match=r"run directory of a teacher .* command other"
    ):
        export(str(tmp_path), str(tmp_path))


def test_last_weights_need_a_directory(model, tmp_path):
    config = ExportConfig(weights="last")
    with pytest.raises(InputError, match=r"must be a run directory .*: a Student\.$"):
        export(model.student, str(tmp_path / "base"), config=config)
    assert not (tmp_path / "base").exists()


def test_fused_op_must_be_built(model, tmp_path, monkeypatch):
    monkeypatch.setattr(ops, "_library", lambda: None)
    config = ExportConfig(ops="fused")
    with pytest.raises(InputError, match="`ops` must be stock where the fused op"):
        export(model.student, str(tmp_path / "base"), config=config)
    assert not (tmp_path / "base").exists()


@pytest.mark.skipif(not ops.library_loaded(), reason="the op's library was not built")
def test_fused_model_is_verified_with_its_library(model, tmp_path):
    config = ExportConfig(ops="fused", verify=True)
    exported = export(model.student, str(tmp_path), config=config, thorough=False)
    assert exported.verification.loaders == ("tf.compat.v1.saved_model.load",)
    assert metadata.read(exported.directory).ops == "fused"


def test_result_says_whether_the_version_is_warm(model, tmp_path):
    cold = export(model.student, str(tmp_path), config=ExportConfig(warmup="none"))
    assert (cold.warm, cold.verification) == (False, None)
    assert os.listdir(f"{cold.directory}/assets.extra") == ["metadata.json"]
    assert export(model.student, str(tmp_path)).warm == warmup.available()


def test_student_draws_the_images_of_sample(demo_run, drawn):
    assert _near(_sample(demo_run / "export/1"), drawn["matched"])


def test_teacher_has_its_sampler(teacher, drawn):
    assert _near(_sample(teacher.directory), drawn["teacher"])
    about = metadata.read(teacher.directory)
    assert (about.name, about.network) == ("digits_teacher", "teacher")
    assert (about.network_calls, about.teacher) == (3, "")


def test_teacher_is_no_version_of_the_student(demo_run, contents):
    before = contents(demo_run / "export")
    with pytest.raises(InputError, match="name=digits, received: name=digits_teacher"):
        export(demo_run.teacher, demo_run / "export", preset="digits")
    assert contents(demo_run / "export") == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_types_halve_the_weights(demo_run, drawn, tmp_path, dtype):
    config = ExportConfig(dtype=dtype, name="half")
    directory = export(demo_run.matched, str(tmp_path), config=config).directory
    about = metadata.read(directory)
    assert about.fingerprint == metadata.read(demo_run / "export/1").fingerprint
    data = "variables/variables.data-00000-of-00001"
    half, whole = (
        os.path.getsize(os.path.join(path, data))
        for path in (directory, demo_run / "export/1")
    )
    assert half < whole - 1.9 * about.parameters
    difference = np.abs(_sample(directory).astype(int) - drawn["matched"])
    assert difference.max() <= 127.5 * verification.TOLERANCE[dtype] + 1


def test_weights_of_the_last_checkpoint_differ(demo_run, tmp_path):
    config = ExportConfig(weights="last")
    directory = export(demo_run.matched, str(tmp_path), config=config).directory
    about = metadata.read(directory)
    assert about.weights == "last"
    assert about.fingerprint != metadata.read(demo_run / "export/1").fingerprint
    assert about.fingerprint == _fingerprint(
        demo_run, f"{demo_run.matched}/checkpoints"
    )


def test_damaged_last_checkpoint_is_replaced_by_the_previous(
    demo_run, tmp_path, caplog
):
    shutil.copytree(demo_run.matched, tmp_path / "student")
    folder = tmp_path / "student" / "checkpoints"
    last = tf.train.latest_checkpoint(str(folder))
    before = tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths[-2]
    os.truncate(f"{last}.data-00000-of-00001", 100)
    config = ExportConfig(weights="last")
    student, base = str(tmp_path / "student"), str(tmp_path / "base")
    exported = export(student, base, config=config)
    about = metadata.read(exported.directory)
    assert about.fingerprint == _fingerprint(demo_run, before)
    assert f"The checkpoint {last} cannot be restored" in caplog.text


def test_missing_checkpoint_is_refused(demo_run, tmp_path):
    shutil.copytree(demo_run.matched, tmp_path / "student")
    shutil.rmtree(tmp_path / "student" / "checkpoints")
    config = ExportConfig(weights="last")
    with pytest.raises(InputError, match="holds no checkpoints"):
        export(str(tmp_path / "student"), str(tmp_path / "base"), config=config)
    assert not (tmp_path / "base").exists()


def test_damaged_model_is_refused(demo_run, tmp_path):
    shutil.copytree(demo_run.matched, tmp_path / "student")
    path = tmp_path / "student" / "model.keras"
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(InputError, match=r"model.keras cannot be loaded"):
        export(str(tmp_path / "student"), str(tmp_path / "base"))
    assert not (tmp_path / "base").exists()


def test_model_with_other_images_never_appears(demo_run, tmp_path, monkeypatch):
    def refuse(directory, generate, shape, **options):
        z = noise.normal(0, range(2), shape)
        assert generate(z).shape == (2, *_SHAPE)
        raise VerificationError(f"{directory} draws other images")

    monkeypatch.setattr(verification, "verify", refuse)
    with pytest.raises(VerificationError, match="draws other images"):
        export(demo_run.matched, str(tmp_path), config=ExportConfig(verify=True))
    assert list(tmp_path.iterdir()) == []
