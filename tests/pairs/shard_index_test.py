"""Workers without locks: what they leave is what one undisturbed run leaves."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion.diffusion_config import SamplerConfig
from tf_student.pairs import manifests, records, shard_index, writer
from tf_student.runtime.errors import InputError


@pytest.fixture
def work(plan, make_sampler, tmp_path):
    """Runs one worker of some on the set called `shared`."""

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
def test_any_number_of_workers_leaves_the_same_bytes(
    work, write, contents, tmp_path, count
):
    done = [work(index, count).complete for index in range(count)]
    # There are five shards; with them the set is complete.
    assert done == [index + 1 >= min(count, 5) for index in range(count)]
    assert contents(tmp_path / "shared") == contents(write("alone"))


def test_workers_may_come_in_any_order_and_come_back(work, write, contents, tmp_path):
    for index in (2, 0, 2, 1, 0):
        work(index, 3)
    assert contents(tmp_path / "shared") == contents(write("alone"))


def test_each_worker_makes_its_own_shards(work, make_sampler):
    sampler = make_sampler()
    work(1, 2, sampler)
    # The second of the three shards for training, and the first held out.
    assert sum(len(z) for z in sampler.fed) == 4 + 4


def test_another_worker_at_the_same_shard(
    work, write, contents, make_sampler, tmp_path
):
    class Slow:
        """While it samples its first batch, another worker makes everything."""

        entered = False

        def __call__(self, z):
            if not self.entered:
                self.entered = True
                work(0, 1)
            return make_sampler()(z)

    assert work(0, 1, Slow()).complete
    assert contents(tmp_path / "shared") == contents(write("alone"))


def test_a_worker_stopped_between_shard_and_receipt(work, write, contents, tmp_path):
    work(0, 2)
    for path in (tmp_path / "shared" / "receipts").iterdir():
        path.unlink()
    work(1, 2)
    work(0, 2)
    assert contents(tmp_path / "shared") == contents(write("alone"))


def test_an_unfinished_file_of_another_worker_is_left_alone(work, tmp_path):
    work(0, 3)
    other = tmp_path / "shared" / "pairs-train.tfrecord-00001-of-00003.tmp-1234"
    other.write_text("half")
    work(2, 3)
    assert other.exists()
    work(1, 3)
    assert not other.exists()


@pytest.mark.parametrize("complete", [False, True])
def test_a_manifest_that_another_worker_took_for_a_leftover(
    work, write, contents, tmp_path, monkeypatch, complete
):
    """Another worker completes the set while this one writes its manifest."""
    really_write = manifests.write

    def overtaken(directory, manifest):
        if manifest.complete == complete:
            monkeypatch.setattr(records, "write_manifest", really_write)
            work(0, 1)
            raise tf.errors.NotFoundError(None, None, "manifest.json.tmp-1a2b")
        really_write(directory, manifest)

    monkeypatch.setattr(records, "write_manifest", overtaken)
    assert work(0, 1).complete
    assert contents(tmp_path / "shared") == contents(write("alone"))


def test_two_runs_at_once_with_different_settings(work, make_sampler, tmp_path, plan):
    other = plan(sampler=SamplerConfig(calls=5))

    class Disturbed:
        """Another run replaces the manifest while the first shard is made."""

        def __call__(self, z):
            manifests.write(str(tmp_path / "shared"), other)
            return make_sampler()(z)

    with pytest.raises(InputError, match="calls=5, received: 3"):
        work(0, 1, Disturbed())
    # Nothing of the loser is there.
    assert os.listdir(tmp_path / "shared") == ["manifest.json"]


def test_mixed_teachers_are_refused(work, contents, tmp_path):
    work(0, 2)
    before = contents(tmp_path / "shared")
    with pytest.raises(InputError, match="teacher='a teacher', received: 'another'"):
        work(1, 2, teacher="another")
    assert contents(tmp_path / "shared") == before


def test_a_vanished_mount_is_an_error_and_nothing_is_made_up(work, tmp_path):
    import shutil

    import tensorflow as tf

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


def test_forgotten_shards_are_missing_and_made_again(work, write, contents, tmp_path):
    work(0, 1)
    directory = str(tmp_path / "shared")
    manifest = manifests.read(directory)
    name = manifest.shards[1].name
    shard_index.forget(directory, manifest, [name])
    assert not os.path.exists(Path(directory) / name)
    blank = [dataclasses.replace(s, sha256="", size=0) for s in manifest.shards]
    assert [s.name for s in shard_index.missing(directory, blank)] == [name]
    work(0, 1)
    assert contents(directory) == contents(write("alone"))


def test_nothing_of_another_set_is_forgotten(work, plan, contents, tmp_path):
    work(0, 1)
    before = contents(tmp_path / "shared")
    name = plan().shards[0].name
    with pytest.raises(InputError, match="another pair set"):
        shard_index.forget(str(tmp_path / "shared"), plan(pairs=11), [name])
    assert contents(tmp_path / "shared") == before


@pytest.mark.parametrize("finished", [True, False])
def test_shards_that_nothing_is_known_of_are_not_taken_over(
    work, contents, tmp_path, finished
):
    work(0, 1 if finished else 2)
    (tmp_path / "shared" / "manifest.json").unlink()
    before = contents(tmp_path / "shared")
    with pytest.raises(InputError, match=r"and no manifest.json that says what it is"):
        work(0, 1, teacher="another")
    assert contents(tmp_path / "shared") == before


def test_two_workers_that_finish_at_once(work, plan, write, contents, tmp_path):
    work(0, 2)
    directory = str(tmp_path / "shared")
    receipts = shard_index._receipts
    other = []

    def overtaken(place):
        """Between this worker's finish and its look, the other one finishes."""
        if not other:
            other.append(True)
            assert writer.finish(directory, plan()).complete
        return receipts(place)

    for shard in shard_index.missing(directory, plan().shards):
        writer.write_shard(directory, plan(), shard, lambda z: _round(z), 3)
    shard_index._receipts = overtaken
    try:
        assert writer.finish(directory, plan()).complete
    finally:
        shard_index._receipts = receipts
    assert contents(directory) == contents(write("alone"))


def _round(z):
    return np.clip(np.round(z * 40 + 128), 0, 255).astype(np.uint8)
