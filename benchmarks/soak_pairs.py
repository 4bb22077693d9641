"""Kills workers at random while they make pairs, and compares the final bytes.

    python benchmarks/soak_pairs.py --kills=200

Workers are `tf-student pairs` with 1, 2 and 4 indices and, where Apache Beam is
installed, one with --engine=beam. Each kill is SIGKILL to a worker that has begun to
write, after a random time, and the worker is started again. A set is finished when all
its workers end by themselves; then the next begins, until the kills are used up. Where
a kill found a file half-written is counted. Needs Linux' /proc.

Workers are forked from this process, which has imported TensorFlow and never runs it:
imports take most of a small worker's time.
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
# What the workers will import.
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
# Seconds in which a worker that writes is killed: those of some shards.
SPAN = 0.6


class Worker:
    """A process of `tf-student pairs` that can be killed and started again.

    Args:
        arguments: its flags.
        log: a file for what it says.
    """

    def __init__(self, arguments: list[str], log: pathlib.Path):
        self._arguments, self.log = arguments, log
        self.restart()

    def restart(self) -> None:
        """Starts it, in a process group of its own, so that its children die too."""
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
        """Whether it has not ended yet."""
        return self.process.is_alive()

    @property
    def writing(self) -> bool:
        """Whether it holds a file that is not whole yet."""
        folder = f"/proc/{self.process.pid}/fd"
        try:
            links = [os.readlink(f"{folder}/{name}") for name in os.listdir(folder)]
        except OSError:
            return False
        return any(".tmp-" in link for link in links)

    def kill(self) -> None:
        """SIGKILL, to its children too."""
        if self.running:
            # It may not have a group yet.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.join()


def contents(directory: pathlib.Path) -> dict[str, str]:
    """Digests by name of everything in a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def apart(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Names of files that are there once, or not the same."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if found.get(name) != expected.get(name)]


def disturbed(workers: list[Worker], kills: int, rng: random.Random) -> tuple[int, int]:
    """Lets workers come to their end, killing some.

    Returns:
        How many were killed, and how many of these held a file half-written.
    """
    used = amid = 0
    while any(worker.running for worker in workers):
        time.sleep(0.01)
        begun = [worker for worker in workers if worker.writing]
        if used == kills or not begun:
            continue
        victim = rng.choice(begun)
        time.sleep(rng.uniform(0.0, SPAN))
        if victim.running:
            amid += victim.writing
            victim.kill()
            victim.restart()
            used += 1
    for worker in workers:
        code = worker.process.exitcode
        assert code == 0, f"a worker ended with {code}:\n{worker.log.read_text()}"
    return used, amid


def make_set(
    scratch: str, number: int, count: int, kills: int, rng: random.Random
) -> tuple[dict[str, str], int, int]:
    """One set by `count` workers, or by Beam's for 0: its contents and its kills."""
    directory = pathlib.Path(scratch, f"set{number}")
    base = [f"--work_dir={scratch}", *PAIRS, f"--pairs_dir={directory}"]
    parts = [
        [*base, f"--worker_index={i}", f"--num_workers={count}"] for i in range(count)
    ] or [[*base, "--engine=beam"]]
    logs = [pathlib.Path(scratch, f"set{number}-{i}.log") for i in range(len(parts))]
    workers = [Worker(part, log) for part, log in zip(parts, logs, strict=True)]
    try:
        used, amid = disturbed(workers, kills, rng)
    finally:
        for worker in workers:
            worker.kill()
    return contents(directory), used, amid


def main() -> None:
    """Prints a line for each set, and fails if any differs."""
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
    amid = number = 0
    with tempfile.TemporaryDirectory() as scratch:
        station = [sys.executable, "-m", "tf_student.flags.main"]
        flags = [f"--work_dir={scratch}", *NETWORK, "--calls=2"]
        subprocess.run([*station, "teacher", *flags], check=True)
        expected, _, _ = make_set(scratch, 0, 1, 0, rng)
        while (left := arguments.kills - sum(totals.values())) > 0:
            name = list(ways)[number % len(ways)]
            number += 1
            kills, start = min(arguments.each, left), time.monotonic()
            found, used, half = make_set(scratch, number, ways[name], kills, rng)
            totals[name] += used
            amid += half
            print(
                f"{name}: {used} kills, {half} amid a file, "
                f"{time.monotonic() - start:.0f} s, the same bytes: "
                f"{found == expected}",
                flush=True,
            )
            assert found == expected, apart(found, expected)
    print(
        f"{sum(totals.values())} kills in {number} sets and "
        f"{(time.monotonic() - begun) / 60:.0f} minutes "
        f"({', '.join(f'{name}: {used}' for name, used in totals.items())}), {amid} "
        "amid a file; every set has the bytes of the undisturbed one."
    )


if __name__ == "__main__":
    main()
