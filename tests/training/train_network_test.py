"""A run has its directory for itself, and cleans up after a killed process."""

import fcntl
import os

import pytest

from tests.tiny_run import RUN, TINY
from tf_student.runtime import devices, leftovers
from tf_student.runtime.errors import InputError
from tf_student.training.train_network import train_network
from tf_student.training.train_run import TrainRun


@pytest.fixture
def train(monkeypatch, tmp_path):
    """Claims `tmp_path/run`, and calls a function in place of the training."""

    def run(inside=lambda: None, command="teacher", name="run"):
        loop = "tf_student.training.train_network.loop.train"
        monkeypatch.setattr(loop, lambda task, state, setup: inside())
        state = "tf_student.training.train_network.TrainState"
        monkeypatch.setattr(state, lambda *args: None)
        task = type("Task", (), {"label": "teacher"})
        strategy = devices.make_strategy(["CPU:0"])
        setup = TrainRun(str(tmp_path / name), strategy, TINY.teacher, run=RUN)
        train_network(task, None, setup, command=command, configs={"unet": TINY.unet})

    return run


def test_two_processes_in_one_directory_are_an_error(train, tmp_path, contents):
    train()
    before = contents(tmp_path / "run")
    descriptor = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InputError, match=f"^Another process writes to {tmp_path}/run"):
        train()
    assert contents(tmp_path / "run") == before
    os.close(descriptor)
    train()


def test_refused_run_does_not_claim_the_directory(train, tmp_path):
    def refuse():
        raise InputError("`batch_size` must be divisible by the replicas.")

    with pytest.raises(InputError, match="batch_size"):
        train(refuse, command="distill", name="work/run")
    assert list(tmp_path.iterdir()) == []
    train(command="teacher", name="work/run")


def test_refused_run_keeps_what_was_there(train, tmp_path, contents):
    def refuse():
        raise InputError("A shard is damaged.")

    def learn_a_little():
        (tmp_path / "run/metrics.jsonl").touch()
        refuse()

    train()
    before = contents(tmp_path)
    with pytest.raises(InputError):
        train(refuse)
    assert contents(tmp_path) == before
    with pytest.raises(InputError):
        train(learn_a_little)
    assert sorted(contents(tmp_path / "run")) == ["config.json", "metrics.jsonl"]


def test_the_directory_is_locked_while_the_network_is_trained(train, tmp_path):
    seen = []

    def inside():
        with pytest.raises(InputError, match="Another process writes to"):
            with leftovers.locked(str(tmp_path / "run")):
                raise AssertionError("both have it")
        seen.append(True)

    train(inside)
    assert seen == [True]
    with leftovers.locked(str(tmp_path / "run")):
        pass


def test_what_a_killed_process_left_is_removed(train, tmp_path):
    train()
    own = ["config.json", "model.keras", "metrics.jsonl", "samples.png"]
    for name in (*own, "notes.txt"):
        (tmp_path / "run" / f"{name}.tmp-0123abcd").write_text("half")
    train()
    assert sorted(os.listdir(tmp_path / "run")) == [
        "config.json",
        "notes.txt.tmp-0123abcd",
    ]


def test_nothing_is_removed_from_another_run(train, tmp_path):
    train()
    left = tmp_path / "run" / "model.keras.tmp-0123abcd"
    left.write_text("half")
    with pytest.raises(InputError, match="belongs to another command"):
        train(command="distill")
    assert left.exists()


@pytest.mark.parametrize("name", ["exp[1]", "a\\b"])
def test_a_directory_that_is_a_pattern_is_refused(train, tmp_path, name):
    with pytest.raises(InputError, match="TensorFlow reads as a pattern"):
        train(name=name)
    assert os.listdir(tmp_path) == []
