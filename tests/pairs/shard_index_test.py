"""Any number of workers without locks write the bytes of one uninterrupted run."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs import manifests, shard_index, writer
from tf_student.runtime.errors import InputError


@pytest.fixture
def work(plan, make_sampler, tmp_path):
    """Runs one of several workers on the set called `shared`."""

    def run(index, count, sampler=None, **changes):
        return writer.write_pairs(
            str(tmp_path / "shared"),
            plan(**changes),
            sampler or make_sampler(),
            batch=3,
            worker_index=index,
            num_workers=count,
        )

    return run


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_any_number_of_workers_writes_the_same_bytes(
    work, write, contents, tmp_path, count
):
    done = [work(index, count).complete for index in range(count)]
    # The set has five shards.
    assert done == [index + 1 >= min(count, 5) for index in range(count)]
    assert contents(tmp_path / "shared") == contents(write("one_run"))


def test_workers_may_come_in_any_order_and_come_back(work, write, contents, tmp_path):
    for index in (2, 0, 2, 1, 0):
        work(index, 3)
    assert contents(tmp_path / "shared") == contents(write("one_run"))


def test_each_worker_generates_its_own_shards(work, make_sampler):
    sampler = make_sampler()
    work(1, 2, sampler)
    # The second of the three shards for training, and the first held out.
    assert sum(len(z) for z in sampler.fed) == 4 + 4


def test_another_worker_at_the_same_shard(
    work, write, contents, make_sampler, tmp_path
):
    class Slow:
        """While it samples its first batch, another worker generates the whole set."""

        entered = False

        def __call__(self, z):
            if not self.entered:
                self.entered = True
                work(0, 1)
            return make_sampler()(z)

    assert work(0, 1, Slow()).complete
    assert contents(tmp_path / "shared") == contents(write("one_run"))


def test_a_worker_stopped_between_shard_and_marker(work, write, contents, tmp_path):
    work(0, 2)
    for path in (tmp_path / "shared" / "completed").iterdir():
        path.unlink()
    work(1, 2)
    work(0, 2)
    assert contents(tmp_path / "shared") == contents(write("one_run"))


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.5])
def test_a_part_of_a_shard_without_a_marker_is_re_generated(
    work, write, contents, tmp_path, make_sampler, kept
):
    """A power failure, or a copy that was interrupted, may leave one."""
    work(0, 2)
    shared, rest = tmp_path / "shared", make_sampler()
    (shared / "completed" / "pairs-train.tfrecord-00000-of-00003.json").unlink()
    path = shared / "pairs-train.tfrecord-00000-of-00003"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert work(0, 1, rest).complete
    assert sum(len(z) for z in rest.fed) == 4 + 4 + 4
    assert contents(shared) == contents(write("one_run"))


@pytest.fixture
def version_0_1(work, tmp_path):
    """An unfinished set whose markers are in `receipts/`, as version 0.1 wrote them."""
    work(0, 2)
    directory = tmp_path / "shared"
    (directory / "completed").rename(directory / "receipts")
    return directory


def test_an_unfinished_set_of_version_0_1_continues(
    version_0_1, work, write, contents, make_sampler
):
    assert shard_index.count(str(version_0_1)) == 3
    rest = make_sampler()
    # Its finished shards count, although the worker that wrote them does not return.
    assert work(1, 2, rest).complete
    assert sum(len(z) for z in rest.fed) == 4 + 4
    # The old folder is removed with the new one.
    assert contents(version_0_1) == contents(write("one_run"))


def test_shards_of_version_0_1_without_a_marker_are_adopted(
    version_0_1, work, write, contents, make_sampler
):
    """Version 0.1 was stopped between writing a shard and its receipt."""
    for path in (version_0_1 / "receipts").iterdir():
        path.unlink()
    (version_0_1 / "receipts").rmdir()
    work(1, 2)
    again = make_sampler()
    assert work(0, 2, again).complete and again.fed == []
    assert contents(version_0_1) == contents(write("one_run"))


def test_a_shard_of_version_0_1_is_forgotten(version_0_1, plan, work, write, contents):
    directory = str(version_0_1)
    name = plan().shards[0].name
    assert (version_0_1 / "receipts" / f"{name}.json").exists()
    shard_index.forget(directory, plan(), [name])
    assert name in [s.name for s in shard_index.missing(directory, plan().shards)]
    work(0, 1)
    assert contents(directory) == contents(write("one_run"))


def test_a_new_marker_replaces_one_of_version_0_1(version_0_1, plan, work):
    """The shard was re-generated, so the older marker has another size."""
    shard = plan().shards[0]
    marker = version_0_1 / "receipts" / f"{shard.name}.json"
    values = json.loads(marker.read_text())
    marker.write_text(json.dumps({**values, "size": 1, "sha256": "0"}))
    assert shard_index.missing(str(version_0_1), [shard]) == [shard]
    work(0, 1)
    finished = manifests.read(str(version_0_1)).shards[0]
    assert (finished.sha256, finished.size) == (values["sha256"], values["size"])


def test_an_unfinished_file_of_another_worker_stays(work, tmp_path):
    work(0, 3)
    other = tmp_path / "shared" / "pairs-train.tfrecord-00001-of-00003.tmp-0123abcd"
    other.write_text("half")
    work(2, 3)
    assert other.exists()
    work(1, 3)
    assert not other.exists()


@pytest.mark.parametrize("complete", [False, True])
def test_a_temporary_manifest_that_another_worker_removed(
    work, write, contents, tmp_path, monkeypatch, complete
):
    """Another worker completes the set while this one writes its manifest."""
    really_write = manifests.write

    def overtaken(directory, manifest):
        if manifest.complete == complete:
            monkeypatch.setattr(manifests, "write", really_write)
            work(0, 1)
            raise tf.errors.NotFoundError(None, None, "manifest.json.tmp-0123abcd")
        really_write(directory, manifest)

    monkeypatch.setattr(manifests, "write", overtaken)
    assert work(0, 1).complete
    assert contents(tmp_path / "shared") == contents(write("one_run"))


def test_two_runs_at_once_with_different_settings(work, make_sampler, tmp_path, plan):
    other = plan(sampler=SamplerConfig(calls=5))

    class Disturbed:
        """Another run replaces the manifest while the first shard is sampled."""

        def __call__(self, z):
            manifests.write(str(tmp_path / "shared"), other)
            return make_sampler()(z)

    with pytest.raises(InputError, match="calls=5, received: 3"):
        work(0, 1, Disturbed())
    # No file of the first run exists.
    assert os.listdir(tmp_path / "shared") == ["manifest.json"]


def test_mixed_teachers_are_an_error(work, contents, tmp_path):
    work(0, 2)
    before = contents(tmp_path / "shared")
    with pytest.raises(InputError, match="teacher='a teacher', received: 'another'"):
        work(1, 2, teacher="another")
    assert contents(tmp_path / "shared") == before


def test_a_vanished_mount_is_an_error_and_is_not_re_created(work, tmp_path):
    class Unplugged:
        def __call__(self, z):
            shutil.rmtree(tmp_path / "shared", ignore_errors=True)
            return np.zeros(z.shape, np.uint8)

    with pytest.raises(tf.errors.NotFoundError):
        work(0, 1, Unplugged())
    assert not (tmp_path / "shared").exists()


def test_count_is_of_finished_shards(work, tmp_path):
    work(0, 2)
    assert shard_index.count(str(tmp_path / "shared")) == 3
    work(1, 2)
    assert shard_index.count(str(tmp_path / "shared")) == 5


def test_forgotten_shards_are_re_generated(work, write, contents, tmp_path):
    work(0, 1)
    directory = str(tmp_path / "shared")
    manifest = manifests.read(directory)
    name = manifest.shards[1].name
    shard_index.forget(directory, manifest, [name])
    assert not os.path.exists(Path(directory) / name)
    blank = [dataclasses.replace(s, sha256="", size=0) for s in manifest.shards]
    assert [s.name for s in shard_index.missing(directory, blank)] == [name]
    work(0, 1)
    assert contents(directory) == contents(write("one_run"))


def test_forgetting_shards_of_another_set_changes_nothing(
    work, plan, contents, tmp_path
):
    work(0, 1)
    before = contents(tmp_path / "shared")
    name = plan().shards[0].name
    with pytest.raises(InputError, match="another pair set"):
        shard_index.forget(str(tmp_path / "shared"), plan(pairs=11), [name])
    assert contents(tmp_path / "shared") == before


@pytest.mark.parametrize("finished", [True, False])
def test_shards_without_a_manifest_are_not_adopted(work, contents, tmp_path, finished):
    work(0, 1 if finished else 2)
    (tmp_path / "shared" / "manifest.json").unlink()
    before = contents(tmp_path / "shared")
    with pytest.raises(InputError, match=r"but no manifest.json that describes it"):
        work(0, 1, teacher="another")
    assert contents(tmp_path / "shared") == before


def test_two_workers_that_finish_at_once(
    work, plan, write, contents, make_sampler, monkeypatch, tmp_path
):
    """The other worker finishes after this one has read the manifest."""
    work(0, 2)
    directory = str(tmp_path / "shared")
    for shard in shard_index.missing(directory, plan().shards):
        writer.write_shard(directory, plan(), shard, make_sampler(), 3)
    really_read = manifests.read

    def overtaken(place):
        manifest = really_read(place)
        monkeypatch.setattr(manifests, "read", really_read)
        assert writer.finish(directory, plan()).complete
        return manifest

    monkeypatch.setattr(manifests, "read", overtaken)
    assert writer.finish(directory, plan()).complete
    assert contents(directory) == contents(write("one_run"))
