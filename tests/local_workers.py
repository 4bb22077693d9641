"""Starts a training command as several workers on this machine.

    python tests/local_workers.py 2 distill --preset=digits --work_dir=runs/digits

Each worker gets its own TF_CONFIG, as Kubeflow or a Slurm script would set it. Workers
are restarted if they end by a signal or with an exit code that asks for it.
"""

import json
import os
import socket
import subprocess
import sys
import time

# Success, a wrong flag or input, a loss that diverged: a restart would not help.
FINAL = (0, 2, 3)


class LocalWorkers:
    """Processes of one command that train together over the loopback interface.

    Args:
        count: number of workers; the first is the chief.
        arguments: the arguments of `tf-student`: the command and its flags.
        restarts: how often each worker may be restarted.
        log: the path of each worker's output, with `{}` for its index. By default
            workers inherit the output of this process.
    """

    def __init__(
        self,
        count: int,
        arguments: list[str],
        restarts: int = 5,
        log: str | None = None,
    ):
        self._arguments, self._restarts, self._log = arguments, restarts, log
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self._starts = [0] * count
        self.processes = [self._start(index) for index in range(count)]

    def _start(self, index: int) -> subprocess.Popen:
        self._starts[index] += 1
        cluster = {"worker": self._addresses}
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        output = open(self._log.format(index), "ab") if self._log else None
        return subprocess.Popen(
            [sys.executable, "-m", "tf_student.flags.main", *self._arguments],
            env={**os.environ, "TF_CONFIG": json.dumps(config)},
            stdout=output,
            stderr=output,
        )

    def tend(self) -> bool:
        """Restarts workers that need it; returns whether all have ended."""
        codes = [process.poll() for process in self.processes]
        for index, code in enumerate(codes):
            failed = code is not None and code not in FINAL
            if failed and self._starts[index] <= self._restarts:
                self.processes[index] = self._start(index)
                codes[index] = None
        return all(code is not None for code in codes)

    def wait(self, timeout: float = float("inf")) -> list[int | None]:
        """Returns the exit codes once all have ended or after `timeout` seconds."""
        end = time.monotonic() + timeout
        while not self.tend() and time.monotonic() < end:
            time.sleep(0.1)
        return [process.poll() for process in self.processes]

    def close(self) -> None:
        """Kills the workers that still run."""
        for process in self.processes:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback interface that nothing uses."""
    sockets = [socket.socket() for _ in range(count)]
    for unused in sockets:
        unused.bind(("127.0.0.1", 0))
    ports = [unused.getsockname()[1] for unused in sockets]
    for unused in sockets:
        unused.close()
    return ports


if __name__ == "__main__":
    workers = LocalWorkers(int(sys.argv[1]), sys.argv[2:])
    try:
        sys.exit(max(abs(code or 0) for code in workers.wait()))
    finally:
        workers.close()
