"""Pairs by Apache Beam's PortableRunner, whose workers are started outside of it.

`make engines` runs this. The job service and the pool of workers are those that Beam
itself has, in processes of their own, as a cluster of Flink has them.
"""

import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.engines.pairs_command import end, start_pairs, wait_for

pytest.importorskip("apache_beam", reason="needs tf-student[beam]")

_RUNNERS = "apache_beam.runners"
_BIN = os.path.dirname(sys.executable)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def start(tmp_path):
    """Starts a module of Beam that serves a port; all end with what they started."""
    processes = []

    def start(module, option):
        port = _free_port()
        with open(tmp_path / "beam.log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{_RUNNERS}.{module}", f"{option}={port}"],
                stdout=log,
                stderr=log,
                # The pool starts the `python` of its path.
                env={**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"},
                start_new_session=True,
            )
        processes.append(process)
        wait_for(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "beam.log").read_text()
        return f"127.0.0.1:{port}"

    yield start
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_workers_of_a_pool_write_the_same_bytes(start, teacher, contents, tmp_path):
    options = ("--pairs=256", "--calls=20")
    end(start_pairs(teacher, tmp_path / "expected", *options))
    service = start("portability.local_job_service_main", "--port")
    pool = start("worker.worker_pool_main", "--service_port")
    beam = (
        f"runner=PortableRunner,job_endpoint={service},"
        f"environment_type=EXTERNAL,environment_config={pool}"
    )
    engine = ("--engine=beam", f"--beam_options={beam}")
    end(start_pairs(teacher, tmp_path / "pairs", *options, *engine))
    assert contents(tmp_path / "pairs") == contents(tmp_path / "expected")
    assert "Starting worker with command" in (tmp_path / "beam.log").read_text()
