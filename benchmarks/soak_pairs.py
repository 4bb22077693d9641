"""Kills workers at random while they generate pairs, and compares the final bytes.

    python benchmarks/soak_pairs.py --kills=200

Workers are `tf-student pairs` with 1, 2 and 4 indices and, where Apache Beam is
installed, one with --engine=beam. Each kill sends SIGKILL to a worker that has begun to
write, after a random time, and restarts the worker. A set is finished when all its
workers have ended by themselves; then the next set begins, until the number of kills is
reached. Kills during the writing of a file are counted. Needs /proc of Linux.

Workers are forked from this process, which has imported TensorFlow and never runs it,
because imports take most of a small worker's time.
"""

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

from tf_student.flags import launch
from tf_student.flags import pairs as command

BEAM = importlib.util.find_spec("apache_beam") is not None
# Modules that the workers import.
MODULES = ["tf_student.pairs.make_pairs"] + ["tf_student.pairs.beam"] * BEAM

NETWORK = (
    "--image_size=8",
    "--base_width=8",
    "--width_multipliers=1,2",
    "--attention_resolutions=4",
    "--groups=4",
    "--blocks_per_level=1",
    "--steps=1",
    "--batch_size=8",
    "--warmup_steps=0",
    "--decay_steps=0",
)
PAIRS = (
    "--pairs=6144",
    "--held_out_pairs=64",
    "--shard_pairs=64",
    "--calls=20",
    "--device_batch=64",
    "--deterministic",
)
# A writing worker is killed within this time, in seconds, in which it writes shards.
SPAN = 0.6


class Worker:
    """A process of `tf-student pairs` that can be killed and restarted.

    Args:
        arguments: its flags.
        log: a file for its output.
    """

    def __init__(self, arguments: list[str], log: pathlib.Path):
        self._arguments, self.log = arguments, log
        self.restart()

    def restart(self) -> None:
        """Starts it in its own process group, so that `kill` reaches its children."""
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=self._work)
        self.process.start()

    def _work(self) -> None:
        os.setsid()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["pairs", *self._arguments]
        launch.run(command.main)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    @property
    def writing(self) -> bool:
        """Whether it has an unfinished file open."""
        folder = f"/proc/{self.process.pid}/fd"
        try:
            links = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
        except OSError:
            return False
        return any(".tmp-" in link for link in links)

    def kill(self) -> None:
        """Sends SIGKILL to it and its children."""
        if self.running:
            # It may not have created its group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()


def contents(directory: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file in a directory, by relative path."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def different(actual: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Names of files that differ, or that only one of the sets has."""
    names = sorted(actual.keys() | expected.keys())
    return [name for name in names if actual.get(name) != expected.get(name)]


def disturbed(workers: list[Worker], kills: int, rng: random.Random) -> tuple[int, int]:
    """Waits until all workers have ended, and kills some of them meanwhile.

    Returns:
        The number of kills, and the number of kills during the writing of a file.
    """
    used = during_write = 0
    while any(worker.running for worker in workers):
        time.sleep(0.01)
        begun = [worker for worker in workers if worker.writing]
        if used == kills or not begun:
            continue
        victim = rng.choice(begun)
        time.sleep(rng.uniform(0.0, SPAN))
        if victim.running:
            during_write += victim.writing
            victim.kill()
            victim.restart()
            used += 1
    for worker in workers:
        code = worker.process.exitcode
        assert code == 0, f"a worker ended with {code}:\n{worker.log.read_text()}"
    return used, during_write


def make_set(
    scratch: str, number: int, count: int, kills: int, rng: random.Random
) -> tuple[dict[str, str], int, int]:
    """Generates a set with `count` workers, or with Beam for 0.

    Returns:
        The contents of the set, and the two numbers of `disturbed`.
    """
    directory = pathlib.Path(scratch, f"set{number}")
    base = [f"--work_dir={scratch}", *PAIRS, f"--pairs_dir={directory}"]
    parts = [
        [*base, f"--worker_index={i}", f"--num_workers={count}"] for i in range(count)
    ] or [[*base, "--engine=beam"]]
    logs = [pathlib.Path(scratch, f"set{number}-{i}.log") for i in range(len(parts))]
    workers = [Worker(part, log) for part, log in zip(parts, logs, strict=True)]
    try:
        used, during_write = disturbed(workers, kills, rng)
    finally:
        for worker in workers:
            worker.kill()
    return contents(directory), used, during_write


def main() -> None:
    """Prints a line for each set, and fails if a set differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--each", type=int, default=10, help="kills of one set")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng, begun = random.Random(arguments.seed), time.monotonic()
    for module in MODULES:
        importlib.import_module(module)
    ways = {"1 worker": 1, "2 workers": 2, "4 workers": 4}
    if BEAM:
        ways["Apache Beam"] = 0
    totals = dict.fromkeys(ways, 0)
    during_write = number = 0
    with tempfile.TemporaryDirectory() as scratch:
        command_line = [sys.executable, "-m", "tf_student.flags.main", "teacher"]
        flags = [f"--work_dir={scratch}", *NETWORK, "--calls=2"]
        subprocess.run([*command_line, *flags], check=True)
        expected, _, _ = make_set(scratch, 0, 1, 0, rng)
        while (left := arguments.kills - sum(totals.values())) > 0:
            name = list(ways)[number % len(ways)]
            number += 1
            kills, start = min(arguments.each, left), time.monotonic()
            actual, used, interrupted = make_set(
                scratch, number, ways[name], kills, rng
            )
            totals[name] += used
            during_write += interrupted
            print(
                f"{name}: {used} kills, {interrupted} while writing a file, "
                f"{time.monotonic() - start:.0f} s, the same bytes: "
                f"{actual == expected}",
                flush=True,
            )
            assert actual == expected, different(actual, expected)
    print(
        f"{sum(totals.values())} kills in {number} sets and "
        f"{(time.monotonic() - begun) / 60:.0f} minutes "
        f"({', '.join(f'{name}: {used}' for name, used in totals.items())}), "
        f"{during_write} while writing a file; every set has the bytes of the "
        "uninterrupted one."
    )


if __name__ == "__main__":
    main()
