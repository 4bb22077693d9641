"""The stations as a user runs them: in processes of their own.

A process spends most of its time on importing TensorFlow, so each is run once, two at
a time, and many tests look at what it left.
"""

import concurrent.futures
import dataclasses
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

LAUNCHER = os.path.join(sysconfig.get_path("scripts"), "tf-student")

UNET = (
    "--base_width=8",
    "--width_multipliers=1,2",
    "--attention_resolutions=4",
    "--groups=4",
    "--blocks_per_level=1",
)
TRAIN = (
    "--steps=24",
    "--batch_size=16",
    "--warmup_steps=2",
    "--decay_steps=0",
    "--log_every=2",
    "--checkpoint_every=6",
    "--evaluate_every=8",
    "--deterministic",
)
TEACHER = (*UNET, *TRAIN, "--calls=3")
# Many calls, so that a signal arrives before the last shard does.
PAIRS = (
    "--pairs=576",
    "--held_out_pairs=64",
    "--shard_pairs=32",
    "--calls=40",
    "--device_batch=32",
    "--deterministic",
)
DISTILL = TRAIN


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that has ended."""

    code: int
    out: str
    err: str
    seconds: float


def _environment():
    # What conftest.py sets for this process is not what a user has.
    return {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}


def start(station, *arguments, launcher=False, **environment):
    """Starts `python -m tf_student.flags.<station>` or `tf-student <station>`."""
    module = [sys.executable, "-m", f"tf_student.flags.{station.replace('-', '_')}"]
    return subprocess.Popen(
        [*([LAUNCHER, station] if launcher else module), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_environment(), **environment},
    )


def run(station, *arguments, **options):
    """Runs a station to its end."""
    begun = time.monotonic()
    process = start(station, *arguments, **options)
    out, err = process.communicate(timeout=240)
    return Finished(process.returncode, out, err, time.monotonic() - begun)


def interrupt(number, condition, station, *arguments):
    """Runs a station until `condition()` holds, and sends it a signal."""
    begun = time.monotonic()
    process = start(station, *arguments)
    while not condition():
        assert process.poll() is None, f"ended too early: {process.communicate()[1]}"
        assert time.monotonic() - begun < 240
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=240)
    return Finished(process.returncode, out, err, time.monotonic() - begun)


def logged(directory, step):
    """Whether a run has reported a step."""
    path = Path(directory) / "metrics.jsonl"
    return lambda: path.exists() and f'"step": {step},' in path.read_text()


def exists(*parts):
    """Whether a file is there."""
    return Path(*parts).exists


@pytest.fixture(scope="session")
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        yield executor


def _disturbed_training(station, directory, *arguments):
    """Killed twice, then asked to stop, then left alone."""
    everything = (station, *arguments)
    first = exists(directory, "checkpoints", "ckpt-6.index")
    return [
        interrupt(signal.SIGKILL, first, *everything),
        interrupt(signal.SIGKILL, logged(directory, 14), *everything),
        # Step 16 is reported and then evaluated, which takes a while.
        interrupt(signal.SIGTERM, logged(directory, 16), *everything),
        run(*everything),
    ]


def _disturbed_online(directory, *arguments):
    """Killed and asked to stop while the teacher samples in the background."""
    everything = ("distill", *arguments, "--online")
    return [
        interrupt(signal.SIGKILL, logged(directory, 8), *everything),
        interrupt(signal.SIGTERM, logged(directory, 14), *everything),
        run(*everything),
    ]


def _disturbed_pairs(directory, *arguments):
    shard = "pairs-train.tfrecord-{:05d}-of-00018"
    everything = ("pairs", *arguments)
    return [
        interrupt(signal.SIGKILL, exists(directory, shard.format(number)), *everything)
        for number in (2, 7)
    ] + [
        interrupt(signal.SIGTERM, exists(directory, shard.format(11)), *everything),
        run(*everything),
    ]


@dataclasses.dataclass(frozen=True)
class Chain:
    """What the stations left below a work directory, and how they ended."""

    work: Path
    finished: dict[str, Finished]


@pytest.fixture(scope="session")
def disturbed_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("disturbed")


@pytest.fixture(scope="session")
def disturbed_teacher(pool, disturbed_directory):
    """How the runs of a disturbed teacher ended, in the end."""
    directory = disturbed_directory / "teacher"
    return pool.submit(
        _disturbed_training,
        "teacher",
        directory,
        f"--work_dir={disturbed_directory}",
        *TEACHER,
    )


@pytest.fixture(scope="session")
def chain(pool, cache, tmp_path_factory, disturbed_teacher):
    """Every station, through its binary or the launcher, one after the other."""
    work = tmp_path_factory.mktemp("chain")
    place = f"--work_dir={work}"
    finished = {
        "teacher": run("teacher", place, *TEACHER),
        "pairs": run("pairs", place, *PAIRS, launcher=True),
        "distill": run("distill", place, *DISTILL),
    }
    last = {
        "sample": ("--what=both", "--count=5", "--calls=3"),
        "interpolate": ("--rows=2", "--columns=4"),
        "evaluate": ("--samples=200", "--repeats=2", "--calls=40"),
        "export": (),
    }
    futures = {
        name: pool.submit(run, name, place, *flags, launcher=name != "sample")
        for name, flags in last.items()
    }
    finished |= {name: future.result() for name, future in futures.items()}
    return Chain(work, finished)


@pytest.fixture(scope="session")
def disturbed(pool, chain, disturbed_teacher, disturbed_directory):
    """How the runs of disturbed stations ended, by station."""
    place = f"--work_dir={disturbed_directory}"
    teacher = f"--teacher_dir={chain.work}/teacher"
    pairs = pool.submit(
        _disturbed_pairs, disturbed_directory / "pairs", place, teacher, *PAIRS
    )
    student = pool.submit(
        _disturbed_training,
        "distill",
        disturbed_directory / "student",
        place,
        teacher,
        f"--pairs_dir={chain.work}/pairs",
        *DISTILL,
    )
    online = pool.submit(
        _disturbed_online,
        disturbed_directory / "online",
        place,
        teacher,
        f"--student_dir={disturbed_directory}/online",
        *PAIRS,
        *DISTILL,
    )
    return {
        "teacher": disturbed_teacher.result(),
        "pairs": pairs.result(),
        "distill": student.result(),
        "online": online.result(),
    }
