"""Fills the disk of commands at random points, and continues when there is space.

    python benchmarks/soak_disk.py --points=30        # as root, on Linux

Each command writes to a file system in memory that has room for a random part of what
the command would write. It must end with one line that has the system's words, and the
same command must leave the bits of an undisturbed run when there is room.
"""

import argparse
import contextlib
import importlib
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

import soak
import soak_commands
from soak_commands import CASES, SAME

WORDS = ("No space left on device", "is too small for these pairs")


@contextlib.contextmanager
def disk(path: pathlib.Path, size: int) -> Iterator[None]:
    """A file system of some bytes, mounted at a new directory."""
    path.mkdir()
    options = f"size={size}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
        path.rmdir()


def enlarge(path: pathlib.Path) -> None:
    """Makes room on a file system of `disk`."""
    subprocess.run(["mount", "-o", "remount,size=1g", path], check=True)


def run(process: soak.Process) -> str:
    """Waits for a command on a full disk; returns its last line if it failed."""
    process.process.join()
    output = process.output
    if process.process.exitcode == 0:
        return ""
    line = output.splitlines()[-1]
    assert process.process.exitcode == 2, output
    assert "Traceback" not in output and "{{" not in line, output
    assert any(words in line for words in WORDS), output
    return line


def main() -> None:
    """Prints a line for each point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", help=f"of: {','.join(set(CASES) - set(SAME))}")
    options = parser.parse_args()
    names = [name for name in CASES if name not in SAME]
    if options.commands:
        names = options.commands.split(",")
    rng, full = random.Random(options.seed), 0
    for module in soak.MODULES:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as scratch:
        done, expected, _ = soak.reference(pathlib.Path(scratch), names)
        work = pathlib.Path(scratch, "disk")
        for number in range(options.points):
            name = names[number % len(names)]
            written = sum(
                pathlib.Path(done, key).stat().st_size
                for key in expected[name]
                if ": " not in key
            )
            size, begun = int(rng.uniform(0.02, 1) * written), time.monotonic()
            with disk(work, size):
                (process,) = soak.start(CASES[name], done, work)
                line = run(process)
                full += bool(line)
                enlarge(work)
                process.start()
                process.end()
                found = soak_commands.contents(work)
            soak.check(name, found, expected[name])
            shutil.rmtree(f"{work}.log")
            took = time.monotonic() - begun
            text = line or "there was room"
            print(f"{name}: {size:,} of {written:,} bytes, {took:.0f} s: {text}")
    print(f"{full} full disks; everything has the bits of undisturbed runs.")


if __name__ == "__main__":
    main()
