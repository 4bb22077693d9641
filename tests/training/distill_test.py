import dataclasses
import json
import shutil

import numpy as np
import pytest

from tests.tiny_run import RUN, TINY
from tf_student.models import model_directory
from tf_student.runtime.errors import InputError
from tf_student.training.distill import distill
from tf_student.training.reporter import read_metrics
from tf_student.training.training_config import DistillConfig


def test_leaves_a_student_beside_its_configuration(demo_run):
    student = model_directory.load_student(demo_run.student)
    assert student(np.zeros([2, 8, 8, 1], np.float32)).shape == (2, 8, 8, 1)
    with open(f"{demo_run.student}/config.json") as file:
        assert json.load(file)["distill"] == {
            "distance": "l1",
            "max_pairs": 0,
            "online": False,
        }


def test_held_out_loss_is_reported(demo_run):
    lines = [line for line in read_metrics(demo_run.student) if "held_out_loss" in line]
    assert [line["step"] for line in lines] == [4, 6]


def test_student_starts_as_the_teacher(demo_run, tmp_path, monkeypatch):
    states = []

    def only_look(task, state, directory, **_):
        states.append(state)

    monkeypatch.setattr("tf_student.stations.training.train", only_look)
    distill(str(tmp_path / "student"), demo_run.teacher, demo_run.pairs, TINY, RUN)
    teacher = model_directory.load_teacher(demo_run.teacher).get_weights()
    for student in (states[0].model, states[0].ema):
        for a, b in zip(student.unet.get_weights(), teacher, strict=True):
            np.testing.assert_array_equal(a, b)


def _refused(demo_run, pairs, tmp_path, message, teacher=None, run=RUN):
    directory = tmp_path / "student"
    with pytest.raises(InputError, match=message):
        distill(str(directory), teacher or demo_run.teacher, str(pairs), TINY, run)
    return directory


def test_pairs_by_another_teacher_are_refused(demo_run, tmp_path):
    other = tmp_path / "teacher"
    shutil.copytree(demo_run.teacher, other)
    model = model_directory.load_teacher(str(other))
    model.weights[0].assign(model.weights[0].numpy() + 0.5)
    model_directory.save(str(other), model)
    directory = _refused(
        demo_run, demo_run.pairs, tmp_path, "made by another teacher", str(other)
    )
    assert not directory.exists()


def test_truncated_shard_is_refused_at_once(demo_run, copied_pairs, tmp_path):
    shard = copied_pairs / "pairs-train.tfrecord-00001-of-00002"
    shard.write_bytes(shard.read_bytes()[:-1])
    directory = _refused(
        demo_run, copied_pairs, tmp_path, "00001-of-00002 is missing or cut off"
    )
    assert not directory.exists()


def test_shard_with_a_flipped_bit_is_named(demo_run, copied_pairs, tmp_path):
    name = "pairs-train.tfrecord-00000-of-00002"
    data = bytearray((copied_pairs / name).read_bytes())
    data[200] ^= 1
    (copied_pairs / name).write_bytes(data)
    directory = _refused(demo_run, copied_pairs, tmp_path, f"{name} is damaged")
    assert not (directory / "model.keras").exists()


def test_directory_begun_with_another_distance_is_refused(demo_run, contents):
    before = contents(demo_run.student)
    system = dataclasses.replace(TINY, distill=DistillConfig("l2"))
    with pytest.raises(InputError, match="begun with distance='l1'"):
        distill(demo_run.student, demo_run.teacher, demo_run.pairs, system, RUN)
    assert contents(demo_run.student) == before


def _online(system=TINY, **train):
    return dataclasses.replace(
        system,
        distill=dataclasses.replace(system.distill, online=True),
        student=dataclasses.replace(system.student, **train),
    )


@pytest.fixture(scope="module")
def made_online(demo_run, tmp_path_factory):
    """A student of pairs that are not stored, whose training was cut in two."""
    directory = str(tmp_path_factory.mktemp("online") / "student")
    for steps in (4, 6):
        distill(directory, demo_run.teacher, None, _online(steps=steps), RUN)
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
    online, stored = (
        model_directory.load_student(path).get_weights()
        for path in (made_online, demo_run.student)
    )
    for a, b in zip(online, stored, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_online_run_says_what_its_pairs_would_be(demo_run, made_online):
    origins = []
    for path in (made_online, demo_run.student):
        with open(f"{path}/config.json") as file:
            origins.append(json.load(file)["origin"])
    assert origins[0]["teacher"] == origins[1]["teacher"]
    assert origins[0]["pairs"].startswith("online-")
    assert not origins[1]["pairs"].startswith("online-")


@pytest.mark.parametrize(
    ("system", "pairs", "message"),
    [
        (_online(), "pairs", "`pairs_dir` must be left out with `online`"),
        (TINY, None, "`pairs_dir` must be given without `online`"),
    ],
)
def test_two_sources_of_pairs_and_none_are_refused(
    demo_run, tmp_path, system, pairs, message
):
    directory = tmp_path / "student"
    with pytest.raises(InputError, match=message):
        distill(str(directory), demo_run.teacher, pairs, system, RUN)
    assert not directory.exists()


def test_several_workers_online_are_refused(demo_run, tmp_path, monkeypatch):
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    directory = tmp_path / "student"
    with pytest.raises(InputError, match=r"`online` must be off .* workers=2"):
        distill(str(directory), demo_run.teacher, None, _online(), RUN)
    assert not directory.exists()


@pytest.fixture(scope="module")
def losses(demo_run, tmp_path_factory):
    """Trains a student for a while; its loss in the beginning and at the end."""
    train = dataclasses.replace(TINY.student, steps=60)

    def measure(dtype, seed=0):
        directory = str(tmp_path_factory.mktemp("student") / dtype)
        student = dataclasses.replace(train, seed=seed)
        system = dataclasses.replace(TINY, student=student)
        run = dataclasses.replace(RUN, dtype=dtype)
        distill(directory, demo_run.teacher, demo_run.pairs, system, run)
        lines = [line["loss"] for line in read_metrics(directory) if "loss" in line]
        return lines[0], np.mean(lines[-4:])

    return measure


def test_two_bytes_learn_as_much_as_four(losses):
    first, exact = losses("float32")
    exact = max(exact, losses("float32", seed=1)[1])
    learned = first - exact
    assert learned > 0.2 * first
    # Another seed makes a difference of a thirtieth.
    for dtype in ("bfloat16", "float16"):
        assert losses(dtype)[1] < exact + 0.05 * learned
