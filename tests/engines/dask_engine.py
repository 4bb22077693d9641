"""Pairs by Apache Beam on Dask, with two workers of which one is killed.

`make engines` runs this; it needs `dask[distributed]`.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.pairs_command import TIMEOUT, end, start_pairs, wait_for

pytest.importorskip("distributed", reason="needs dask[distributed] from PyPI")
pytest.importorskip("apache_beam", reason="needs tf-student[beam]")

_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"


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

        wait_for(self._file.exists)
        address = json.loads(self._file.read_text())["address"].removeprefix("tcp://")
        with Client(address) as client:
            client.wait_for_workers(len(self.workers), timeout=TIMEOUT)
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


def _shards(directory):
    return sorted(Path(directory).glob("*.tfrecord*"))


def test_killed_worker_leaves_the_same_bytes(cluster, teacher, contents, tmp_path):
    expected, directory = tmp_path / "expected", tmp_path / "pairs"
    end(start_pairs(teacher, expected))
    options = f"runner={_RUNNER},dask_client_address={cluster.address}"
    process = start_pairs(
        teacher, directory, "--engine=beam", f"--beam_options={options}"
    )
    wait_for(lambda: process.poll() is not None or len(_shards(directory)) >= 2)
    assert process.poll() is None, process.communicate()[0]
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    assert len(_shards(directory)) < len(_shards(expected))
    end(process)
    assert contents(directory) == contents(expected)
    assert cluster.workers[1].poll() is None
