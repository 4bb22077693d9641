"""Kills all commands at random, and compares what they leave with undisturbed runs.

    python benchmarks/soak.py --kills=200
    python benchmarks/soak.py --kills=20 --commands=evaluate,export --seed=7
    python benchmarks/soak.py --kills=50 --signal=SIGTERM
    python benchmarks/soak.py --twice

Each command runs undisturbed first, with a tiny network. Then each runs again in a new
directory and is killed after a random part of its undisturbed time, again and again,
until it may end by itself. What it leaves must have the same bits and no other file.
After SIGTERM and SIGINT a command must also end within ten seconds, with exit code 75
or 130 and without a traceback. Pairs are also made by two and four workers at once and,
where Apache Beam is installed, by its local runner. With --twice, two equal commands
run at once: both must end well, or one of them with one line.

Commands are forked from this process, which has imported TensorFlow and never runs it,
because imports take most of a small command's time.
"""

import argparse
import contextlib
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import pathlib
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator

import soak_commands
from soak_commands import CASES, SAME, Case

BEAM = importlib.util.find_spec("apache_beam") is not None
# Modules that the commands import.
MODULES = [
    "tf_student.demo",
    "tf_student.flags.costs",
    "tf_student.evaluation.compare",
    "tf_student.models.convert",
    *["tf_student.pairs.beam"] * BEAM,
]
CODES = {signal.SIGKILL: -9, signal.SIGTERM: 75, signal.SIGINT: 130}
# Seconds after a signal.
LIMIT = 10


class Process:
    """A command that can be killed and started again.

    Args:
        command: its name.
        arguments: its flags.
        log: a file for its output.
    """

    def __init__(self, command: str, arguments: list[str], log: pathlib.Path):
        self._module = f"tf_student.flags.{command}"
        self._arguments, self._log = arguments, log
        self.start()

    def start(self) -> None:
        """Starts it in its own process group, so that SIGKILL reaches its children."""
        self._log.write_text("")
        fork = multiprocessing.get_context("fork")
        self.process = fork.Process(target=self._work)
        self.begun = time.monotonic()
        self.process.start()

    def _work(self) -> None:
        os.setsid()
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = [self._module.rpartition(".")[2], *self._arguments]
        runpy.run_module(self._module, run_name="__main__", alter_sys=True)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Sends it a signal; SIGKILL also to its children."""
        # It may have ended, and may not have created its group.
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def end(self) -> None:
        """Checks that it ended, or ends soon, without an error."""
        self.process.join()
        assert self.process.exitcode == 0, self.output


def run(case: Case, done: pathlib.Path, work: pathlib.Path) -> float:
    """Runs a case undisturbed; returns its seconds."""
    begun = time.monotonic()
    for process in start(case, done, work):
        process.end()
    return time.monotonic() - begun


def start(
    case: Case, done: pathlib.Path, work: pathlib.Path, copies: int = 1
) -> list[Process]:
    """Starts the processes of a case."""
    logs = work.parent / f"{work.name}.log"
    logs.mkdir(exist_ok=True)
    return [
        Process(case.command, arguments, logs / f"{number}.txt")
        for number, arguments in enumerate(copies * case.arguments(done, work))
    ]


def disturb(
    processes: list[Process], kills: int, span: float, number: int, rng: random.Random
) -> int:
    """Signals processes at random times and starts them again, until all have ended.

    Args:
        processes: that run at once.
        kills: largest number of signals.
        span: seconds of an undisturbed run, within which a process is signalled.
        number: the signal.
        rng: chooses the process and the moment.

    Returns:
        The number of processes that a signal ended.
    """
    ended = 0
    while ended < kills and (running := [p for p in processes if p.running]):
        victim = rng.choice(running)
        moment = victim.begun + rng.uniform(0, span)
        while victim.running and time.monotonic() < moment:
            time.sleep(0.002)
        if victim.running:
            victim.send(number)
            if _ended(victim, number):
                ended += 1
                victim.start()
    for process in processes:
        process.end()
    return ended


def _ended(victim: Process, number: int) -> bool:
    """Whether a signal ended a process, as it should."""
    begun = time.monotonic()
    victim.process.join(LIMIT)
    took = time.monotonic() - begun
    assert not victim.running, f"{took:.0f} s after {number}: {victim.output}"
    # It may have ended by itself first. While Python starts, a signal ends any process.
    code = victim.process.exitcode
    assert code in (0, -number, CODES[number]), f"{code}: {victim.output}"
    if number != signal.SIGKILL:
        assert "Traceback" not in victim.output, victim.output
    return code != 0


def disturbed(
    case: Case,
    done: pathlib.Path,
    work: pathlib.Path,
    kills: int,
    span: float,
    number: int,
    rng: random.Random,
) -> int:
    """Runs a case with signals; returns how many processes they ended."""
    processes = start(case, done, work)
    try:
        return disturb(processes, kills, span, number, rng)
    finally:
        for process in processes:
            process.send(signal.SIGKILL)


def twice(case: Case, done: pathlib.Path, work: pathlib.Path) -> str:
    """Runs a case twice at once; returns what became of both."""
    processes = start(case, done, work, copies=2)
    for process in processes:
        process.process.join()
    codes = [process.process.exitcode for process in processes]
    for process, code in zip(processes, codes, strict=True):
        assert code in (0, 2) and "Traceback" not in process.output, process.output
    last = [process.output.splitlines()[-1] for process in processes]
    assert 0 in codes, last
    return next(
        (line for line in last if "tf-student " in line[:11]), "both ended well"
    )


def rounds(
    names: list[str], options: argparse.Namespace, totals: dict[str, int]
) -> Iterator[tuple[str, int]]:
    """Commands in turn with their numbers of kills, until there were enough."""
    if options.twice:
        yield from ((name, 0) for name in names)
        return
    for name in itertools.cycle(names):
        left = options.kills - sum(totals.values())
        if left <= 0:
            return
        yield name, min(options.each, left)


def main() -> None:
    """Prints a line for each round, and fails if one leaves something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--each", type=int, default=5, help="kills of one round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", default="SIGKILL", choices=[s.name for s in CODES])
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--commands", help=f"of: {','.join(CASES)}")
    options = parser.parse_args()
    names = options.commands.split(",") if options.commands else list(CASES)
    rng, begun = random.Random(options.seed), time.monotonic()
    for module in MODULES:
        importlib.import_module(module)
    names = [name for name in names if BEAM or name != "pairs by Beam"]
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch, "round")
        done, expected, spans = reference(pathlib.Path(scratch), names)
        totals = dict.fromkeys(names, 0)
        for name, count in rounds(names, options, totals):
            start = time.monotonic()
            if options.twice:
                text = twice(CASES[name], done, work)
            else:
                number = signal.Signals[options.signal]
                ended = disturbed(
                    CASES[name], done, work, count, spans[name], number, rng
                )
                totals[name] += ended
                text = f"{ended} of {count} ended by {number.name}"
            check(name, soak_commands.contents(work), expected[name])
            took = time.monotonic() - start
            # A busy machine may have slowed the first run.
            spans[name] = min(spans[name], took)
            print(f"{name}: {text}, the same bits, {took:.0f} s", flush=True)
            shutil.rmtree(work)
    counts = ", ".join(f"{name}: {count}" for name, count in totals.items())
    print(
        f"{sum(totals.values())} signals in {(time.monotonic() - begun) / 60:.1f} "
        f"minutes ({counts}); everything has the bits of undisturbed runs."
    )


def reference(
    scratch: pathlib.Path, names: list[str]
) -> tuple[pathlib.Path, dict[str, dict[str, str]], dict[str, float]]:
    """Runs commands undisturbed, with those that they need.

    Returns:
        The directory with all that they left; its contents, and the seconds of a run,
        by command.
    """
    done, expected, spans = scratch / "done", {}, {}
    for name in soak_commands.needed(names):
        if name in SAME:
            expected[name], spans[name] = expected[SAME[name]], spans[SAME[name]]
            continue
        work = scratch / "first"
        spans[name] = run(CASES[name], done, work)
        expected[name] = soak_commands.contents(work)
        shutil.copytree(work, done, dirs_exist_ok=True)
        shutil.rmtree(work)
    times = ", ".join(f"{name} {spans[name]:.1f}" for name in spans if name not in SAME)
    print(f"Undisturbed, in seconds: {times}", flush=True)
    return done, expected, spans


def check(name: str, actual: dict[str, str], expected: dict[str, str]) -> None:
    """Fails if a command left something else than an undisturbed run."""
    keys = sorted(actual.keys() | expected.keys())
    different = [key for key in keys if actual.get(key) != expected.get(key)]
    assert not different, (name, different)


if __name__ == "__main__":
    main()
