import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.pairs.make_pairs import online_pairs
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError
from tf_student.training import loop
from tf_student.training.distill import distill
from tf_student.training.reporter import read_metrics
from tf_student.training.training_config import DistillConfig, LogConfig


def _distill(demo_run, directory, *, teacher=None, pairs=None, run=RUN, **options):
    """Distils as the demo does, with some options of `TrainConfig` changed."""
    config = options.pop("config", TINY.distill)
    log = options.pop("log", TINY.log)
    return distill(
        teacher or demo_run.teacher,
        pairs or demo_run.pairs,
        str(directory),
        config=config,
        train=dataclasses.replace(TINY.student, **options),
        log=log,
        run=run,
    )


def _ema_weights(directory, count):
    checkpoint = tf.train.load_checkpoint(f"{directory}/checkpoints")
    names = [f"ema/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(count)]
    return [checkpoint.get_tensor(name) for name in names]


def _assert_weights_equal(student, other):
    for a, b in zip(student.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def _assert_weights_close(student, other):
    for a, b in zip(student.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_writes_a_student_and_its_configuration(demo_run):
    student = Student.load(demo_run.student)
    assert student(np.zeros([2, 8, 8, 1], np.float32)).shape == (2, 8, 8, 1)
    with open(f"{demo_run.student}/config.json") as file:
        values = json.load(file)
    assert (values["command"], values["network"]) == ("distill", "student")
    assert values["distill"] == {"distance": "l1", "max_pairs": 0}


def test_held_out_loss_is_reported(demo_run):
    lines = [line for line in read_metrics(demo_run.student) if "held_out_loss" in line]
    assert [line["step"] for line in lines] == [4, 6]


def test_student_starts_as_the_teacher(demo_run, tmp_path, monkeypatch):
    states = []

    def stop_before_training(task, state, setup):
        states.append(state)
        raise InterruptedError

    monkeypatch.setattr(loop, "train", stop_before_training)
    with pytest.raises(InterruptedError):
        _distill(demo_run, tmp_path / "student")
    teacher = Teacher.load(demo_run.teacher).unet
    for student in (states[0].model, states[0].ema):
        _assert_weights_equal(student.unet, teacher)


def test_returned_student_is_the_one_on_disk(demo_run):
    # The run is finished, so this trains no further.
    student = _distill(demo_run, demo_run.student)
    _assert_weights_equal(student, Student.load(demo_run.student))
    assert student.origin == Student.load(demo_run.student).origin


def test_returned_student_has_the_best_weights(demo_run, tmp_path):
    # A rate this high makes the held-out loss of step 6 greater than that of step 4.
    student = _distill(demo_run, tmp_path, learning_rate=3.0, clip_norm=0.0)
    losses = [
        line["held_out_loss"]
        for line in read_metrics(str(tmp_path))
        if "held_out_loss" in line
    ]
    weights = student.get_weights()
    last = _ema_weights(tmp_path, len(weights))
    assert losses[1] > losses[0]
    assert not all(np.array_equal(a, b) for a, b in zip(weights, last, strict=True))
    _assert_weights_equal(student, Student.load(str(tmp_path)))


def test_directories_and_two_devices_give_the_student_of_objects_on_one(
    demo_run, tmp_path, every_device
):
    # The demo gave a teacher and a set of pairs.
    student, expected = _distill(demo_run, tmp_path), Student.load(demo_run.student)
    assert student.origin == expected.origin
    _assert_weights_close(student, expected)


def test_worker_that_is_not_the_chief_writes_nothing(demo_run, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "is_chief", lambda strategy: False)
    student = _distill(demo_run, tmp_path / "student")
    assert not (tmp_path / "student").exists()
    # It returns its last EMA weights: the chief may still be writing the best.
    weights = student.get_weights()
    last = _ema_weights(demo_run.student, len(weights))
    for a, b in zip(weights, last, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_pairs_of_another_teacher_are_an_error(demo_run, tmp_path):
    other = Teacher.load(demo_run.teacher)
    other.unet.weights[0].assign(other.unet.weights[0].numpy() + 0.5)
    with pytest.raises(InputError, match=f"{demo_run.pairs} was made by another"):
        _distill(demo_run, tmp_path / "student", teacher=other)
    assert not (tmp_path / "student").exists()


def test_truncated_shard_is_an_error_before_training(demo_run, copied_pairs, tmp_path):
    shard = copied_pairs / "pairs-train.tfrecord-00001-of-00002"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="00001-of-00002 is missing or truncated"):
        _distill(demo_run, tmp_path / "student", pairs=str(copied_pairs))
    assert not (tmp_path / "student").exists()


def test_shard_with_a_flipped_bit_is_named(demo_run, copied_pairs, tmp_path):
    name = "pairs-train.tfrecord-00000-of-00002"
    data = bytearray((copied_pairs / name).read_bytes())
    data[200] ^= 1
    (copied_pairs / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is damaged"):
        _distill(demo_run, tmp_path / "student", pairs=str(copied_pairs))
    assert not (tmp_path / "student" / "model.keras").exists()


def test_directory_started_with_another_distance_is_an_error(demo_run, contents):
    before = contents(demo_run.student)
    with pytest.raises(InputError, match="started with distance='l1'"):
        _distill(demo_run, demo_run.student, config=DistillConfig("l2"))
    assert contents(demo_run.student) == before


@pytest.fixture(scope="module")
def made_online(demo_run, tmp_path_factory):
    """The directory of a student of online pairs, whose training was interrupted."""
    directory = str(tmp_path_factory.mktemp("online") / "student")
    for steps in (4, 6):
        online = online_pairs(
            demo_run.teacher, config=TINY.pairs, sampler=TINY.sampler, run=RUN
        )
        _distill(demo_run, directory, pairs=online, steps=steps)
    return directory


def test_online_losses_are_those_of_the_stored_pairs(demo_run, made_online):
    for name in ("loss", "held_out_loss"):
        online, stored = (
            {line["step"]: line[name] for line in read_metrics(path) if name in line}
            for path in (made_online, demo_run.student)
        )
        assert sorted(online) == sorted(stored)
        for step, value in stored.items():
            np.testing.assert_allclose(online[step], value, rtol=1e-6)


def test_online_weights_are_those_of_the_stored_pairs(demo_run, made_online):
    _assert_weights_close(Student.load(made_online), Student.load(demo_run.student))


def test_online_origin_names_the_pairs_that_would_be_stored(demo_run, made_online):
    online, stored = (Student.load(p).origin for p in (made_online, demo_run.student))
    assert online.teacher == stored.teacher
    assert online.pairs.startswith("online-")
    assert not stored.pairs.startswith("online-")


def test_several_workers_cannot_use_online_pairs(demo_run, monkeypatch):
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    with pytest.raises(InputError, match=r"`online` must be off .* workers=2"):
        online_pairs(demo_run.teacher, config=TINY.pairs, sampler=TINY.sampler, run=RUN)


@pytest.fixture(scope="module")
def losses(demo_run, tmp_path_factory):
    """Trains a student for 60 steps; returns its first loss and a mean of the last."""

    def measure(dtype):
        directory = str(tmp_path_factory.mktemp("student") / dtype)
        run = dataclasses.replace(RUN, dtype=dtype)
        log = LogConfig(log_every=2)
        _distill(demo_run, directory, run=run, log=log, steps=60, learning_rate=2e-3)
        lines = [line["loss"] for line in read_metrics(directory) if "loss" in line]
        return lines[0], np.mean(lines[-4:])

    return measure


def test_half_precision_learns_as_much_as_float32(losses):
    first, exact = losses("float32")
    learned = first - exact
    assert learned > 0.2 * first
    # Another seed makes a difference of a thirtieth.
    for dtype in ("bfloat16", "float16"):
        assert losses(dtype)[1] < exact + 0.05 * learned
