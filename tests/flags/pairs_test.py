"""The command `pairs`: workers, checks and repairs, and imported pairs."""

import shutil

import numpy as np
import pytest

from tests.flags import conftest
from tests.flags.commands import fork

SHARD = "pairs-train.tfrecord-00002-of-00018"


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
        return fork("pairs", *work, shared, *workers)

    def check(name, *flags):
        return fork("pairs", *work, f"--pairs_dir={folder}/{name}", *flags)

    futures = {
        "worker 1": pool.submit(part, 1),
        "check": pool.submit(check, "damaged", "--check"),
        "repair with other flags": pool.submit(
            check, "damaged", "--repair", "--calls=2"
        ),
        "repair": pool.submit(check, "cut", "--repair"),
        "whole": pool.submit(fork, "pairs", *work, "--check", "--check_images=8"),
        "import": pool.submit(
            check, "imported", f"--import_from={arrays}", "--shard_pairs=4"
        ),
        "index": pool.submit(check, "none", "--worker_index=2", "--num_workers=2"),
    }
    finished = {name: future.result() for name, future in futures.items()}
    return finished | {"worker 0": part(0)}, folder


def test_two_workers_leave_the_bytes_of_one(runs, chain, contents):
    finished, folder = runs
    assert "The pairs of worker 1 of 2 are in" in finished["worker 1"].out
    assert finished["worker 0"].out.endswith("Next: tf-student distill\n")
    assert contents(folder / "shared") == contents(chain.work / "pairs")


def test_a_complete_set_has_no_faults(runs):
    finished = runs[0]["whole"]
    assert finished.code == 0, finished.err
    assert finished.out == (
        "All shards are complete and intact; the teacher re-generated 8 images, and "
        "0.00% of their values differ, by at most 0.\n"
    )


def test_check_names_a_damaged_shard_and_keeps_it(runs):
    finished, folder = runs[0]["check"], runs[1]
    assert (finished.code, finished.out, finished.err.count("\n")) == (2, "", 1)
    assert finished.err.startswith(
        "tf-student pairs: 0 shards are missing and 1 are damaged"
    )
    assert finished.err.endswith(f"{SHARD}. --repair re-generates them.\n")
    assert (folder / "damaged" / SHARD).exists()


def test_a_repair_with_other_flags_removes_nothing(runs):
    finished, folder = runs[0]["repair with other flags"], runs[1]
    assert finished.code == 2 and "calls=60, received: 2" in finished.err
    assert (folder / "damaged" / SHARD).exists()


def test_repair_regenerates_a_damaged_shard(runs, chain, contents):
    finished, folder = runs[0]["repair"], runs[1]
    assert finished.code == 0, finished.err
    assert SHARD in finished.out
    assert contents(folder / "cut") == contents(chain.work / "pairs")


def test_imports_pairs(runs):
    finished, folder = runs[0]["import"], runs[1]
    assert finished.code == 0, finished.err
    assert (folder / "imported" / "pairs-train.tfrecord-00001-of-00002").exists()


def test_an_index_must_be_below_the_number_of_workers(runs):
    finished, folder = runs[0]["index"], runs[1]
    assert (finished.code, finished.err.count("\n")) == (2, 1)
    assert "`worker_index` must be below `num_workers`" in finished.err
    assert not (folder / "none").exists()
