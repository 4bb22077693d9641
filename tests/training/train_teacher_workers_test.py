"""Two processes on the loopback interface train a teacher together."""

import os
import signal
import time

import numpy as np
import pytest

from tests.local_workers import LocalWorkers
from tf_student.models.teacher import Teacher
from tf_student.training.reporter import read_metrics

_FLAGS = [
    "teacher",
    "--preset=digits",
    "--batch_size=16",
    "--log_every=1",
    "--checkpoint_every=5",
    "--evaluate_every=1000",
    "--decay_steps=0",
    "--calls=2",
    "--base_width=8",
    "--groups=4",
    "--width_multipliers=1",
    "--attention_resolutions=",
    # Each replica draws its own masks.
    "--dropout=0",
    # With a small epsilon, Adam's first steps are the sign of the gradient.
    "--adam_epsilon=1e-3",
]


@pytest.fixture
def start(tmp_path):
    """Starts `count` workers of a run of `steps` steps."""
    started = []

    def run(count, directory, steps):
        flags = [*_FLAGS, f"--teacher_dir={directory}", f"--steps={steps}"]
        workers = LocalWorkers(count, flags, log=str(tmp_path / f"{directory}.{{}}"))
        started.append(workers)
        return workers

    yield run
    for workers in started:
        workers.close()


def _weights(directory):
    return Teacher.load(str(directory)).unet.get_weights()


def _losses(directory):
    return {line["step"]: line["loss"] for line in read_metrics(str(directory))}


def test_two_workers_equal_one_and_survive_a_kill(start, tmp_path):
    single, together = tmp_path / "single", tmp_path / "together"
    assert start(1, single, 25).wait(timeout=120) == [0]
    workers = start(2, together, 25)
    end = time.monotonic() + 120
    while not list(together.glob("checkpoints/ckpt-5.index")):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(workers.processes[1].pid, signal.SIGKILL)
    assert workers.wait(timeout=240) == [0, 0]
    one, two = _losses(single), _losses(together)
    assert sorted(two) == sorted(one) == list(range(1, 26))
    np.testing.assert_allclose(list(two.values()), list(one.values()), rtol=1e-4)
    for actual, expected in zip(_weights(together), _weights(single), strict=True):
        np.testing.assert_allclose(actual, expected, atol=2e-5)
    # Only the chief writes.
    assert not list(together.glob("*.tmp-*"))
