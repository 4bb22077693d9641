"""Runs implementations in processes that take turns, so that load affects them equally.

All processes tell glibc to keep freed memory. This is the faster setting for PyTorch:
without it, page faults on large outputs sometimes cost more than the arithmetic.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable

KEEP_MEMORY = (
    "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184"
)


# Instruction sets on which the speed of convolutions depends, as Linux names them.
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def cpu() -> str:
    """The number of this machine's CPUs, their model and their instruction sets."""
    with open("/proc/cpuinfo") as file:
        lines = [line.partition(":")[::2] for line in file]
    models = [value.strip() for key, value in lines if key.strip() == "model name"]
    flags = next((v for k, v in lines if k.strip() == "flags"), "").split()
    found = " ".join(name for name in INSTRUCTIONS if name in flags)
    return f"{len(models)} x {models[0]} ({found})"


class Peer:
    """A process that measures one implementation on request.

    Args:
        name: of the implementation.
        script: a script that calls `serve` if it is run with `--worker`.
    """

    def __init__(self, name: str, script: str):
        self.name = name
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        self._process = subprocess.Popen(
            [sys.executable, script, "--worker"],
            env={**environment, "GLIBC_TUNABLES": KEEP_MEMORY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, case: dict) -> dict[str, float]:
        """Runs a case once.

        Returns:
            `seconds`; `peak`, the largest resident memory of the process in bytes; and
            `added`, by how much it exceeds that of the imported libraries.
        """
        self._process.stdin.write(json.dumps({"peer": self.name, **case}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process for {self.name} ended.")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()


def serve(
    make: Callable[[dict], Callable[[], object]],
    libraries: Callable[[dict], object] = lambda case: None,
) -> None:
    """Reads cases from stdin, one JSON object in each line, and writes measurements.

    Args:
        make: returns the function to time for a case, which runs twice for warm-up. It
            is called again only if the case changes.
        libraries: imports the libraries of a case.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print must not mix with the answers.
    last = run = before = None
    for line in sys.stdin:
        if line != last:
            libraries(json.loads(line))
            before = _peak() if before is None else before
            last, run = line, make(json.loads(line))
            run()
            run()
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
        peak = _peak()
        measurement = {"seconds": seconds, "peak": peak, "added": peak - before}
        print(json.dumps(measurement), file=answers, flush=True)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def alternate(peers: list[Peer], case: dict, rounds: int) -> dict[str, dict]:
    """Returns the shortest seconds and largest memory of each process over rounds."""
    measurements = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            measurements[peer.name].append(peer.measure(case))
    return {
        name: {
            "seconds": min(each["seconds"] for each in values),
            "peak": max(each["peak"] for each in values),
            "added": max(each["added"] for each in values),
        }
        for name, values in measurements.items()
    }
