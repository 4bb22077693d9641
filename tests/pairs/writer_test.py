import collections
import json
import os
import resource
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs import manifests, records, writer
from tf_student.runtime import files
from tf_student.runtime.errors import InputError, Preempted
from tf_student.runtime.run_config import RunConfig


def test_equal_runs_write_equal_bytes(write, contents):
    assert contents(write("a")) == contents(write("b"))


def test_batch_does_not_change_the_bytes(write, contents):
    assert contents(write("a", batch=1)) == contents(write("b", batch=100))


def test_a_batch_is_stored_while_the_next_is_sampled(write, make_sampler, monkeypatch):
    stored, encode, sampler = threading.Event(), records.encode, make_sampler()

    def encoded(*arguments):
        stored.set()
        return encode(*arguments)

    def sample(z):
        assert not sampler.fed or stored.wait(60)
        return sampler(z)

    monkeypatch.setattr(records, "encode", encoded)
    write(sample=sample)
    assert stored.is_set()


def test_writes_the_shards_the_manifest_and_tfds_metadata(write, contents):
    assert sorted(contents(write())) == [
        "dataset_info.json",
        "features.json",
        "manifest.json",
        "pairs-held_out.tfrecord-00000-of-00002",
        "pairs-held_out.tfrecord-00001-of-00002",
        "pairs-train.tfrecord-00000-of-00003",
        "pairs-train.tfrecord-00001-of-00003",
        "pairs-train.tfrecord-00002-of-00003",
    ]


# Each shard takes two calls or one; 2 fails in the second shard, 7 in the last.
@pytest.mark.parametrize("fail_at", [0, 2, 3, 5, 7])
def test_interrupted_run_continues_to_the_same_bytes(
    write, contents, make_sampler, fail_at
):
    undisturbed = contents(write("a"))
    with pytest.raises(RuntimeError, match="killed"):
        write("b", make_sampler(fail_at=fail_at))
    assert contents(write("b")) == undisturbed


def test_continued_run_does_not_repeat_finished_shards(write, make_sampler):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=4))
    rest = make_sampler()
    write(sample=rest)
    # The first two shards were finished; the third has two pairs, held out has five.
    assert sum(len(z) for z in rest.fed) == 2 + 5


def test_interrupted_run_leaves_only_complete_shards(write, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=3))
    assert sorted(os.listdir(tmp_path / "pairs")) == [
        "completed",
        "manifest.json",
        "pairs-train.tfrecord-00000-of-00003",
    ]


def test_finished_set_is_not_re_sampled(write, contents, make_sampler):
    before = contents(write())
    again = make_sampler()
    assert contents(write(sample=again)) == before
    assert again.fed == []


def test_missing_shard_is_re_generated(write, contents):
    directory = write()
    before = contents(directory)
    os.remove(Path(directory) / "pairs-train.tfrecord-00001-of-00003")
    assert contents(write()) == before


def test_truncated_shard_is_re_generated(write, contents):
    directory = write()
    before = contents(directory)
    shard = Path(directory) / "pairs-held_out.tfrecord-00000-of-00002"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert contents(write()) == before


@pytest.mark.parametrize(
    "name", ["pairs-train.tfrecord-00000-of-00003", "manifest.json"]
)
def test_temporary_files_of_a_killed_writer_are_removed(write, contents, name):
    directory = write()
    before = contents(directory)
    (Path(directory) / f"{name}.tmp-0123abcd").write_text("x")
    assert contents(write()) == before


def test_noise_has_its_index_as_seed(write, make_sampler):
    sampler = make_sampler()
    write(sample=sampler, batch=100, pairs_seed=5)
    draw = tf.random.stateless_normal((4, 4, 3), [5, 6], alg="philox")
    # Pair 6 is the third of the second shard.
    np.testing.assert_array_equal(sampler.fed[1][2], draw.numpy())


def test_held_out_noise_differs_from_training_noise(write, make_sampler):
    sampler = make_sampler()
    write(sample=sampler)
    assert len({z.tobytes() for batch in sampler.fed for z in batch}) == 15


def test_manifest_describes_the_set(write):
    values = json.loads((Path(write()) / "manifest.json").read_text())
    shards = values.pop("shards")
    digest = values.pop("noise_sha256")
    assert len(digest) == 64
    assert values == {
        "version": 1,
        "teacher": "a teacher",
        "image_shape": [4, 4, 3],
        "diffusion": {"timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02},
        "sampler": {"spacing": "uniform", "calls": 3, "solver": "ddim"},
        "pairs": {
            "pairs": 10,
            "held_out_pairs": 5,
            "pairs_seed": 0,
            "shard_pairs": 4,
            "encoding": "raw",
            "store_noise": False,
        },
        "dtype": "float32",
        "device_batch": 256,
        "imported": False,
    }
    assert [shard["pairs"] for shard in shards] == [4, 4, 2, 4, 1]


def test_manifest_holds_size_and_digest_of_every_shard(write):
    directory = write()
    for shard in manifests.read(directory).shards:
        path = os.path.join(directory, shard.name)
        assert (shard.sha256, shard.size) == files.sha256(path)
        assert shard.size == os.path.getsize(path) > 0


def test_returns_the_complete_manifest(plan, make_sampler, tmp_path):
    manifest = writer.write_pairs(str(tmp_path / "p"), plan(), make_sampler(), batch=3)
    assert manifest.complete
    assert manifest == manifests.read(str(tmp_path / "p"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "another"}, "teacher='a teacher', received: 'another'"),
        ({"pairs": 11}, "pairs=10, received: 11"),
        ({"pairs_seed": 3}, "noise_sha256"),
        ({"sampler": SamplerConfig(calls=5)}, "calls=3, received: 5"),
        ({"run": RunConfig(device_batch=9)}, "device_batch=256, received: 9"),
    ],
)
def test_another_set_is_an_error_and_nothing_changes(write, contents, change, message):
    directory = write()
    before = contents(directory)
    with pytest.raises(InputError, match=f"holds another pair set.*{message}"):
        write(**change)
    assert contents(directory) == before


def test_newer_set_is_an_error_and_nothing_changes(write, contents):
    directory = write()
    path = Path(directory) / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    before = contents(directory)
    with pytest.raises(InputError, match="Expected: 1, received: 2"):
        write()
    assert contents(directory) == before


def test_bytes_on_disk_are_an_upper_bound(plan, write):
    for store_noise in (False, True):
        directory = write(str(store_noise), store_noise=store_noise)
        size = sum(s.size for s in manifests.read(directory).shards)
        bound = writer.bytes_on_disk(plan(store_noise=store_noise))
        assert 0.5 * bound < size <= bound


def _with_free_bytes(monkeypatch, free):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(free))


def test_small_disk_is_an_error_before_anything_is_written(
    write, plan, make_sampler, monkeypatch, tmp_path
):
    needed = writer.bytes_on_disk(plan())
    _with_free_bytes(monkeypatch, needed - 1)
    sampler = make_sampler()
    with pytest.raises(
        InputError, match=f"{needed:,} bytes free, received: {needed - 1:,}"
    ):
        write(sample=sampler)
    assert not (tmp_path / "pairs").exists()
    assert sampler.fed == []


def test_disk_that_is_just_large_enough_is_used(write, plan, monkeypatch):
    _with_free_bytes(monkeypatch, writer.bytes_on_disk(plan()))
    assert manifests.read(write()).complete


def test_finished_set_needs_no_space(write, monkeypatch):
    write()
    _with_free_bytes(monkeypatch, 0)
    assert manifests.read(write()).complete


def test_full_disk_leaves_no_partial_shard(write, contents, tmp_path):
    undisturbed = contents(write("whole", shard_pairs=100, pairs=100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The manifest fits, a shard of a hundred images does not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(tf.errors.OpError):
            write(shard_pairs=100, pairs=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path / "pairs") == ["manifest.json"]
    assert contents(write(shard_pairs=100, pairs=100)) == undisturbed


def test_sigterm_keeps_finished_shards(write, contents, make_sampler, tmp_path):
    undisturbed = contents(write("whole"))
    sampler = make_sampler()

    def sample(z):
        if len(sampler.fed) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return sampler(z)

    with pytest.raises(Preempted, match="The same command continues"):
        write(sample=sample)
    assert sorted(os.listdir(tmp_path / "pairs")) == [
        "completed",
        "manifest.json",
        "pairs-train.tfrecord-00000-of-00003",
    ]
    assert contents(write()) == undisturbed
