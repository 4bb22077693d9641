"""Pairs by Apache Beam on Dask, with two workers of which one is killed.

`make engines` runs this; it needs `dask[distributed]`.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flags.commands import LAUNCHER
from tests.networks import randomise
from tests.tiny_run import TINY
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet

pytest.importorskip("distributed", reason="needs dask[distributed] from PyPI")
pytest.importorskip("apache_beam", reason="needs tf-student[beam]")

_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"
_TIMEOUT = 300


def _await(condition):
    end = time.monotonic() + _TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return value


class Cluster:
    """A scheduler and its workers, each a process that nothing restarts."""

    def __init__(self, folder: Path, workers: int):
        self._folder, self._file = folder, folder / "scheduler.json"
        options = ("--host=127.0.0.1", "--port=0", "--no-dashboard")
        self._scheduler = self._start("dask_scheduler", *options)
        self.workers = []
        for number in range(workers):
            place = f"--local-directory={folder / f'worker{number}'}"
            options = ("--nthreads=1", "--no-nanny", "--no-dashboard", place)
            self.workers.append(self._start("dask_worker", *options))

    def _start(self, name, *options):
        with open(self._folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", f"distributed.cli.{name}"),
                    f"--scheduler-file={self._file}",
                    *options,
                ],
                stdout=log,
                stderr=log,
            )

    @property
    def address(self) -> str:
        """The scheduler's address, once all workers are connected."""
        from distributed import Client

        _await(self._file.exists)
        address = json.loads(self._file.read_text())["address"].removeprefix("tcp://")
        with Client(address) as client:
            client.wait_for_workers(len(self.workers), timeout=_TIMEOUT)
        return address

    def stop(self) -> None:
        """Ends all processes."""
        for process in [*self.workers, self._scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, workers=2)
    yield cluster
    cluster.stop()


@pytest.fixture
def teacher(tmp_path):
    """The directory of a teacher with random weights."""
    directory = str(tmp_path / "teacher")
    Teacher(randomise(UNet(TINY.unet))).save(directory)
    return directory


def _start_pairs(teacher, directory, *options):
    """Starts the command, with a sampler of so many calls that it takes a while."""
    return subprocess.Popen(
        [
            *(LAUNCHER, "pairs", "--preset=digits", f"--teacher_dir={teacher}"),
            *(f"--pairs_dir={directory}", "--pairs=960", "--held_out_pairs=64"),
            *("--shard_pairs=64", "--calls=60", "--device_batch=32", "--deterministic"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process):
    said, _ = process.communicate(timeout=_TIMEOUT)
    assert process.returncode == 0, said


def _content(directory):
    """The SHA-256 of every file below a directory, by its name."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(directory).rglob("*")
        if path.is_file()
    }


def _shards(directory):
    return sorted(Path(directory).glob("*.tfrecord*"))


def test_killed_worker_leaves_the_same_bytes(cluster, teacher, tmp_path):
    expected, directory = tmp_path / "expected", tmp_path / "pairs"
    _end(_start_pairs(teacher, expected))
    options = f"runner={_RUNNER},dask_client_address={cluster.address}"
    process = _start_pairs(
        teacher, directory, "--engine=beam", f"--beam_options={options}"
    )
    _await(lambda: process.poll() is not None or len(_shards(directory)) >= 2)
    assert process.poll() is None, process.communicate()[0]
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    assert len(_shards(directory)) < len(_shards(expected))
    _end(process)
    assert _content(directory) == _content(expected)
    assert cluster.workers[1].poll() is None
