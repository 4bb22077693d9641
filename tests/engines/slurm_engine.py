"""`deploy/*.sbatch` on Slurm, with two nodes that are namespaces of this machine.

`make engines` runs this; it needs root and Debian's packages of Slurm.
"""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.engines import slurm_cluster
from tests.engines.slurm_cluster import await_, processes
from tests.flags.commands import fork
from tests.flags.conftest import PAIRS, TRAIN
from tests.networks import randomise
from tests.tiny_run import TINY
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet

_DEPLOY = Path(__file__).parents[2] / "deploy"
_NODES = ("--nodes=2", "--gpus-per-node=1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    slurm_cluster.require()
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local(tmp_path_factory, cluster):
    """A teacher with random weights, and its pairs by one process without Slurm."""
    directory = tmp_path_factory.mktemp("local")
    Teacher(randomise(UNet(TINY.unet))).save(str(directory / "teacher"))
    done = fork("pairs", f"--work_dir={directory}", *PAIRS)
    assert done.code == 0, done.err
    return directory


def _submit(cluster, script, work, local, *arguments, options=()):
    return cluster.submit(
        *options,
        _DEPLOY / script,
        f"--work_dir={work}",
        f"--teacher_dir={local / 'teacher'}",
        *arguments,
    )


# Pairs: `pairs.sbatch`.


def _shards(directory, task):
    """The finished shards of one of three tasks."""
    names = [path.name for path in directory.glob("pairs-train.tfrecord-*-of-00018")]
    return [name for name in names if int(name.split("-")[2]) % 3 == task]


def _submit_pairs(cluster, work, local, *arguments, tasks):
    options = (f"--array={tasks}", "--cpus-per-task=1")
    everything = (*PAIRS, *arguments)
    return _submit(cluster, "pairs.sbatch", work, local, *everything, options=options)


@pytest.fixture(scope="module")
def array(cluster, local, tmp_path_factory):
    """Three tasks: one is killed, one is requeued, and one is left alone."""
    work = tmp_path_factory.mktemp("array")
    job = _submit_pairs(cluster, work, local, tasks="0-2")
    await_(lambda: _shards(work / "pairs", 1), "a shard of the task to be killed")
    (killed,) = processes(SLURM_ARRAY_JOB_ID=job, SLURM_ARRAY_TASK_ID="1")
    os.kill(killed, signal.SIGKILL)
    await_(lambda: _shards(work / "pairs", 2), "a shard of the task to be requeued")
    cluster.run("scontrol", "requeue", f"{job}_2")
    return work, cluster.ended(job)


def test_disturbed_tasks_are_restarted(array):
    _, tasks = array
    ends = {t["ArrayTaskId"]: (t["JobState"], int(t["Restarts"])) for t in tasks}
    assert ends == {"0": ("COMPLETED", 0), "1": ("COMPLETED", 1), "2": ("COMPLETED", 1)}


def test_the_array_leaves_the_bytes_of_one_process(array, local, contents):
    work, _ = array
    assert contents(work / "pairs") == contents(local / "pairs")


def test_one_task_can_be_repeated(array, cluster, local, contents):
    work, _ = array
    lost = sorted((work / "pairs").glob("*train.tfrecord*"))[1]
    lost.unlink()
    arguments = ("--num_workers=3", "--repair")
    job = _submit_pairs(cluster, work, local, *arguments, tasks="1")
    (task,) = cluster.ended(job)
    assert (task["JobState"], task["ExitCode"]) == ("COMPLETED", "0:0"), cluster.log()
    assert contents(work / "pairs") == contents(local / "pairs")


def test_wrong_input_of_a_task_is_not_repeated(cluster, local, tmp_path):
    job = _submit_pairs(cluster, tmp_path, local, "--shard_pairs=-1", tasks="0-1")
    for task in cluster.ended(job):
        ended = (task["JobState"], task["ExitCode"], task["Restarts"])
        assert ended == ("FAILED", "2:0", "0"), cluster.log()
    assert "`shard_pairs` must be at least 1" in cluster.log()


# Training: `train.sbatch`.


def _submit_training(cluster, work, local, *arguments, options=()):
    pairs = f"--pairs_dir={local / 'pairs'}"
    return _submit(
        cluster,
        *("train.sbatch", work, local, pairs, *TRAIN, *arguments),
        options=(*_NODES, *options),
    )


def _losses(work):
    """The losses that a training has reported, by step; each step once."""
    path = work / "student" / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    # The last line may be unfinished.
    lines = map(json.loads, text.rpartition("\n")[0].splitlines())
    reported = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    losses = dict(reported)
    assert len(losses) == len(reported)
    return losses


def _checkpoints(work):
    return sorted((work / "student" / "checkpoints").glob("*.index"))


def test_a_killed_worker_restarts_the_job(cluster, local, tmp_path):
    steps = "--steps=60"
    job = _submit_training(cluster, tmp_path, local, steps)
    await_(lambda: _checkpoints(tmp_path), "a checkpoint")
    (worker,) = processes(SLURM_JOB_ID=job, SLURM_PROCID="1")
    os.kill(worker, signal.SIGKILL)
    (ended,) = cluster.ended(job)
    assert (ended["JobState"], ended["Restarts"]) == ("COMPLETED", "1"), cluster.log()
    one = fork(
        *("distill", f"--work_dir={tmp_path / 'one'}", *TRAIN, steps),
        *(f"--teacher_dir={local / 'teacher'}", f"--pairs_dir={local / 'pairs'}"),
    )
    assert one.code == 0, one.err
    losses, expected = _losses(tmp_path), _losses(tmp_path / "one")
    assert list(losses) == list(expected) == list(range(2, 61, 2))
    np.testing.assert_allclose(
        list(losses.values()), list(expected.values()), rtol=1e-3
    )


def test_a_time_limit_saves_and_restarts_the_job(cluster, local, tmp_path):
    # Slurm may send the signal up to 60 seconds earlier than it is told to.
    options = ("--time=2", "--signal=TERM@25")
    endless = "--steps=1000000"
    job = _submit_training(cluster, tmp_path, local, endless, options=options)
    (fields,) = await_(
        lambda: [f for f in cluster.fields(job) if f["Restarts"] != "0"], "a restart"
    )
    assert fields["JobState"] in ("PENDING", "RUNNING")
    saved = max(_losses(tmp_path))
    await_(lambda: max(_losses(tmp_path)) > saved, "more steps")
    # Every second step is there, and the saved one: none was lost or repeated.
    losses = _losses(tmp_path)
    assert list(losses) == sorted({*range(2, max(losses) + 1, 2), saved})
    cluster.run("scancel", job)
    (ended,) = cluster.ended(job)
    assert ended["JobState"] == "CANCELLED"


def test_wrong_input_ends_the_job(cluster, local, tmp_path):
    job = _submit_training(cluster, tmp_path, local, "--batch_size=-1")
    (ended,) = cluster.ended(job)
    assert (ended["JobState"], ended["ExitCode"]) == ("FAILED", "2:0"), cluster.log()
    assert ended["Restarts"] == "0"
    assert "Not restarted: tf-student distill: `batch_size` must" in cluster.log()
    assert not list(cluster.folder.glob("*.error"))
