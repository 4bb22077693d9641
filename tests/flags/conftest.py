"""Every command, run once; many tests look at what it left."""

import concurrent.futures
import dataclasses
import signal
from pathlib import Path

import pytest

from tests.flags.commands import Finished, fork, run

UNET = (
    "--base_width=8",
    "--width_multipliers=1",
    "--attention_resolutions=",
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
SAMPLER = ("--calls=40", "--spacing=uniform", "--solver=ddim")
PAIRS = (
    "--pairs=576",
    "--held_out_pairs=64",
    "--shard_pairs=32",
    *SAMPLER,
    "--calls=60",
    "--device_batch=32",
    "--deterministic",
)
DISTILL = TRAIN
MATCH = (*TRAIN, "--steps=8", "--learning_rate=1e-4", "--keep=fid", "--keep_samples=64")


def logged(directory, step):
    """Whether a run has reported a step."""
    path = Path(directory) / "metrics.jsonl"
    return lambda: path.exists() and f'"step": {step},' in path.read_text()


def exists(*parts):
    """Whether a file exists."""
    return Path(*parts).exists


@pytest.fixture(scope="session")
def pool():
    with concurrent.futures.ThreadPoolExecutor(2) as executor:
        yield executor


def _disturbed_training(command, directory, *arguments):
    """Killed twice, then asked to stop, then left to finish."""
    everything = (command, *arguments)
    first = exists(directory, "checkpoints", "ckpt-6.index")
    return [
        fork(*everything, signal=signal.SIGKILL, when=first),
        fork(*everything, signal=signal.SIGKILL, when=logged(directory, 14)),
        # Step 16 is reported and then evaluated, which takes a while.
        fork(*everything, signal=signal.SIGTERM, when=logged(directory, 16)),
        fork(*everything),
    ]


def _disturbed_matching(directory, *arguments):
    """Killed after its first checkpoint, then left to finish."""
    first = exists(directory, "checkpoints", "ckpt-6.index")
    killed = fork("match", *arguments, signal=signal.SIGKILL, when=first)
    assert not exists(directory, "model.keras")()
    return [killed, fork("match", *arguments)]


def _disturbed_online(directory, *arguments):
    """Killed and asked to stop while the teacher samples in the background."""
    everything = ("distill", *arguments, "--online")
    return [
        fork(*everything, signal=signal.SIGKILL, when=logged(directory, 8)),
        fork(*everything, signal=signal.SIGTERM, when=logged(directory, 14)),
        fork(*everything),
    ]


def _disturbed_pairs(directory, *arguments):
    def shard(number):
        return exists(directory, f"pairs-train.tfrecord-{number:05d}-of-00018")

    everything = ("pairs", *arguments)
    return [
        fork(*everything, signal=signal.SIGKILL, when=shard(2)),
        fork(*everything, signal=signal.SIGKILL, when=shard(5)),
        fork(*everything, signal=signal.SIGTERM, when=shard(8)),
        fork(*everything),
    ]


@dataclasses.dataclass(frozen=True)
class Chain:
    """What the commands left in a work directory, and how they ended."""

    work: Path
    finished: dict[str, Finished]


@pytest.fixture(scope="session")
def chain(pool, cache, shared, once):
    """Every command, one after the other; some in whole processes, others in forks."""
    return once("chain", lambda: _chain(pool, shared / "chain"))


def _chain(pool, work):
    place = f"--work_dir={work}"
    finished = {
        "teacher": run("teacher", place, *TEACHER),
        "pairs": run("pairs", place, *PAIRS, launcher=True),
        "distill": fork("distill", place, *DISTILL),
        "match": fork("match", place, *MATCH),
    }
    sample = (place, "--network=all", "--count=5", "--calls=3")
    walks = (place, "--network=matched", "--rows=2", "--columns=4")
    measured = (place, "--samples=200", "--repeats=2", "--dpm_calls=5", *SAMPLER)
    last = {
        "sample": pool.submit(run, "sample", *sample, launcher=True),
        "interpolate": pool.submit(fork, "interpolate", *walks),
        "evaluate": pool.submit(fork, "evaluate", *measured),
        "export": pool.submit(fork, "export", place),
    }
    finished |= {name: future.result() for name, future in last.items()}
    return Chain(work, finished)


@pytest.fixture(scope="session")
def disturbed_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("disturbed")


@pytest.fixture(scope="session")
def disturbed(pool, chain, disturbed_directory):
    """How the runs of disturbed commands ended, by command."""
    place = f"--work_dir={disturbed_directory}"
    teacher = f"--teacher_dir={chain.work}/teacher"
    again = pool.submit(
        _disturbed_training, "teacher", disturbed_directory / "teacher", place, *TEACHER
    )
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
    matched = pool.submit(
        _disturbed_matching,
        disturbed_directory / "matched",
        place,
        teacher,
        f"--student_dir={chain.work}/student",
        f"--pairs_dir={chain.work}/pairs",
        *MATCH,
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
        "teacher": again.result(),
        "pairs": pairs.result(),
        "distill": student.result(),
        "match": matched.result(),
        "online": online.result(),
    }
