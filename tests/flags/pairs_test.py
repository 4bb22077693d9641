"""Workers, a look at a set, and sets made elsewhere, through the binary."""

import shutil

import numpy as np
import pytest
from tf_student.flags import pairs

from tests.flags import conftest
from tf_student.pairs.pairs_config import EngineConfig
from tf_student.runtime.errors import InputError

SHARD = "pairs-train.tfrecord-00002-of-00018"


def test_alone_it_makes_everything():
    assert pairs.surroundings({}) == EngineConfig()


def test_a_task_of_slurms_array_knows_its_part():
    environment = {
        "SLURM_ARRAY_TASK_ID": "7",
        "SLURM_ARRAY_TASK_MIN": "5",
        "SLURM_ARRAY_TASK_COUNT": "4",
    }
    expected = EngineConfig(worker_index=2, num_workers=4)
    assert pairs.surroundings(environment) == expected
    environment |= {"SLURM_ARRAY_TASK_ID": "17", "SLURM_ARRAY_TASK_STEP": "4"}
    expected = EngineConfig(worker_index=3, num_workers=4)
    assert pairs.surroundings(environment) == expected


def test_a_pod_of_kubernetes_indexed_job_knows_its_part():
    environment = {"JOB_COMPLETION_INDEX": "3", "NUM_WORKERS": "8"}
    expected = EngineConfig(worker_index=3, num_workers=8)
    assert pairs.surroundings(environment) == expected
    del environment["NUM_WORKERS"]
    assert pairs.surroundings(environment, 8) == expected


def test_an_index_without_a_count_is_refused():
    with pytest.raises(InputError, match="`num_workers` must be given"):
        pairs.surroundings({"JOB_COMPLETION_INDEX": "3"})
    with pytest.raises(InputError, match="num_workers=many"):
        pairs.surroundings({"JOB_COMPLETION_INDEX": "3", "NUM_WORKERS": "many"})


@pytest.fixture(scope="module")
def runs(chain, pool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    work = (f"--work_dir={chain.work}", *conftest.PAIRS)
    for name in ("damaged", "cut"):
        shutil.copytree(chain.work / "pairs", folder / name)
        path = folder / name / SHARD
        data = bytearray(path.read_bytes())
        data[-30] ^= 1
        path.write_bytes(data)
    arrays = folder / "arrays"
    arrays.mkdir()
    rng = np.random.default_rng(0)
    for name in ("train_0", "test"):
        np.save(arrays / f"x_{name}.npy", rng.normal(size=(8, 8, 8, 1)).astype("f2"))
        images = rng.integers(0, 256, (8, 8, 8, 1)).astype(np.uint8)
        np.save(arrays / f"y_{name}.npy", images)

    def part(index):
        shared = f"--pairs_dir={folder}/shared"
        workers = (f"--worker_index={index}", "--num_workers=2")
        return conftest.run("pairs", *work, shared, *workers)

    def look(name, *flags):
        return conftest.run("pairs", *work, f"--pairs_dir={folder}/{name}", *flags)

    futures = {
        "worker 1": pool.submit(part, 1),
        "check": pool.submit(look, "damaged", "--check"),
        "repair with other flags": pool.submit(
            look, "damaged", "--repair", "--calls=2"
        ),
        "repair": pool.submit(look, "cut", "--repair"),
        "whole": pool.submit(
            conftest.run, "pairs", *work, "--check", "--check_images=8"
        ),
        "import": pool.submit(
            look, "imported", f"--import_from={arrays}", "--shard_pairs=4"
        ),
        "index": pool.submit(look, "none", "--worker_index=2", "--num_workers=2"),
    }
    finished = {name: future.result() for name, future in futures.items()}
    return finished | {"worker 0": part(0)}, folder


def test_two_workers_leave_the_bytes_of_one(runs, chain, contents):
    finished, folder = runs
    assert "The pairs of worker 1 of 2 are in" in finished["worker 1"].out
    assert finished["worker 0"].out.endswith("Next: tf-student distill\n")
    assert contents(folder / "shared") == contents(chain.work / "pairs")


def test_a_whole_set_is_whole(runs):
    finished = runs[0]["whole"]
    assert finished.code == 0, finished.err
    assert finished.out == (
        "All shards are there and whole; 8 images made again by the teacher, 0.00% of "
        "their values different, by 0 at most.\n"
    )


def test_a_damaged_shard_is_named_and_left(runs):
    finished, folder = runs[0]["check"], runs[1]
    assert (finished.code, finished.out, finished.err.count("\n")) == (2, "", 1)
    assert finished.err.startswith(
        "tf-student pairs: 0 shards are missing and 1 damaged"
    )
    assert finished.err.endswith(f"{SHARD}. --repair makes them again.\n")
    assert (folder / "damaged" / SHARD).exists()


def test_a_repair_with_other_flags_removes_nothing(runs):
    finished, folder = runs[0]["repair with other flags"], runs[1]
    assert finished.code == 2 and "calls=40, received: 2" in finished.err
    assert (folder / "damaged" / SHARD).exists()


def test_a_damaged_shard_is_made_again(runs, chain, contents):
    finished, folder = runs[0]["repair"], runs[1]
    assert finished.code == 0, finished.err
    assert SHARD in finished.out
    assert contents(folder / "cut") == contents(chain.work / "pairs")


def test_pairs_made_elsewhere(runs):
    finished, folder = runs[0]["import"], runs[1]
    assert finished.code == 0, finished.err
    assert (folder / "imported" / "pairs-train.tfrecord-00001-of-00002").exists()


def test_an_index_beyond_the_workers(runs):
    finished, folder = runs[0]["index"], runs[1]
    assert (finished.code, finished.err.count("\n")) == (2, 1)
    assert "`worker_index` must be below `num_workers`" in finished.err
    assert not (folder / "none").exists()
