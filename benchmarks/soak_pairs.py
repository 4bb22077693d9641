"""Kills workers at random while they make pairs, and compares the final bytes.

    python benchmarks/soak_pairs.py --kills=200

Workers are `tf-student pairs` with 1, 2 and 4 indices and, where Apache Beam is
installed, one with --engine=beam; each kill is SIGKILL to a random worker after a
random time, and the worker is started again. A set is finished when all its workers end
by themselves; then the next begins, until the kills are used up.
"""

import argparse
import hashlib
import importlib.util
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

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
    "--pairs=4096",
    "--held_out_pairs=64",
    "--shard_pairs=64",
    "--calls=20",
    "--device_batch=64",
    "--deterministic",
)


def station(name: str, *arguments: str) -> list[str]:
    """The command of a station."""
    return [sys.executable, "-m", f"tf_student.flags.{name}", *arguments]


def start(command: list[str]) -> subprocess.Popen:
    """Starts a worker in a process group of its own, so that its children die too."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def contents(directory: pathlib.Path) -> dict[str, str]:
    """Digests by name of everything in a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def disturbed(commands: list[list[str]], kills: int, rng: random.Random) -> int:
    """Runs workers to their end, killing some of them; returns how many were killed."""
    workers = [start(command) for command in commands]
    used = 0
    while any(worker.poll() is None for worker in workers):
        # Importing TensorFlow takes some seconds, sampling all shards a few more.
        time.sleep(rng.uniform(0.5, 9.0))
        running = [i for i, worker in enumerate(workers) if worker.poll() is None]
        if used < kills and running:
            victim = rng.choice(running)
            os.killpg(workers[victim].pid, signal.SIGKILL)
            workers[victim].wait()
            workers[victim] = start(commands[victim])
            used += 1
    failed = [worker.returncode for worker in workers if worker.returncode]
    assert not failed, f"workers ended with {failed}"
    return used


def main() -> None:
    """Prints a line for each set, and fails if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--each", type=int, default=10, help="kills of one set")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    ways = {f"{n} workers": n for n in (1, 2, 4)}
    if importlib.util.find_spec("apache_beam"):
        ways["Apache Beam"] = 0
    used = 0
    with tempfile.TemporaryDirectory() as scratch:
        work = f"--work_dir={scratch}"
        subprocess.run(station("teacher", work, *NETWORK, "--calls=2"), check=True)
        subprocess.run(station("pairs", work, *PAIRS), check=True)
        expected = contents(pathlib.Path(scratch, "pairs"))
        for number in range(arguments.kills):
            if used >= arguments.kills:
                break
            name, count = list(ways.items())[number % len(ways)]
            directory = pathlib.Path(scratch, f"set{number}")
            base = station("pairs", work, *PAIRS, f"--pairs_dir={directory}")
            commands = [
                [*base, f"--worker_index={i}", f"--num_workers={count}"]
                for i in range(count)
            ] or [[*base, "--engine=beam"]]
            kills = min(arguments.each, arguments.kills - used)
            now = disturbed(commands, kills, rng)
            used += now
            same = contents(directory) == expected
            print(f"{name}: {now} kills, the same bytes: {same}", flush=True)
            assert same
    print(f"{used} kills in all; every set has the bytes of the undisturbed one.")


if __name__ == "__main__":
    main()
