"""Two processes on the loopback interface distil together."""

import signal
import time

import numpy as np
import pytest

from tests.local_workers import LocalWorkers
from tf_student.training.reporter import read_metrics

_STEPS = 4000


@pytest.fixture
def start(demo_run, tmp_path):
    """Starts `count` workers, which are not restarted."""
    started = []

    def run(count, directory, steps):
        flags = [
            "distill",
            "--preset=digits",
            f"--teacher_dir={demo_run.teacher}",
            f"--pairs_dir={demo_run.pairs}",
            f"--student_dir={directory}",
            f"--steps={steps}",
            "--batch_size=16",
            "--warmup_steps=0",
            "--decay_steps=0",
            "--adam_epsilon=1e-3",
            "--log_every=1",
        ]
        log = str(tmp_path / "log.{}")
        workers = LocalWorkers(count, flags, restarts=0, log=log)
        started.append(workers)
        return workers

    yield run
    for workers in started:
        workers.close()


def _losses(directory):
    lines = read_metrics(str(directory))
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def test_sigterm_to_one_stops_both_and_a_single_worker_resumes(start, tmp_path):
    directory = tmp_path / "student"
    workers = start(2, directory, _STEPS)
    end = time.monotonic() + 120
    while not (directory / "metrics.jsonl").exists() or not _losses(directory):
        assert time.monotonic() < end
        time.sleep(0.05)
    workers.processes[1].send_signal(signal.SIGTERM)
    assert workers.wait(timeout=60) == [75, 75]
    saved = max(_losses(directory))
    assert saved < _STEPS
    message = (tmp_path / "log.1").read_text().splitlines()[-1]
    assert message.endswith(f"Saved step {saved} of {_STEPS}.")
    # The number of workers and the total number of steps may change.
    more = saved + 3
    assert start(1, directory, more).wait(timeout=120) == [0]
    single = tmp_path / "single"
    assert start(1, single, more).wait(timeout=120) == [0]
    resumed, expected = _losses(directory), _losses(single)
    assert sorted(resumed) == sorted(expected) == list(range(1, more + 1))
    np.testing.assert_allclose(
        list(resumed.values()), list(expected.values()), rtol=1e-3
    )
