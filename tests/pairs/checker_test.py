import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.pairs import checker, manifests, shard_index

TRAIN = "pairs-train.tfrecord-0000{}-of-00003"


@pytest.fixture
def check(make_sampler):
    return lambda directory, images=15: checker.check(
        directory, make_sampler(), images=images
    )


def spoil(directory, name, at=-20):
    path = Path(directory) / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def seal(directory, name):
    """Lets the manifest agree with a shard as it is now."""
    manifest = manifests.read(directory)
    shards = tuple(
        shard_index.sealed(directory, s) if s.name == name else s
        for s in manifest.shards
    )
    manifests.write(directory, dataclasses.replace(manifest, shards=shards))


@pytest.mark.parametrize("changes", [{}, {"store_noise": True}, {"encoding": "png"}])
def test_a_whole_set(write, check, changes):
    found = check(write(**changes))
    assert (found.to_make, found.differing) == ([], 0.0)
    # Three of each of five shards; one has two, one has one.
    assert found.compared == 12
    assert found.text().startswith("All shards are there and whole; 12 images")


def test_missing_and_damaged_shards_are_named(write, check):
    directory = write()
    (Path(directory) / TRAIN.format(0)).unlink()
    spoil(directory, TRAIN.format(2))
    found = check(directory)
    assert (found.missing, found.damaged) == ((TRAIN.format(0),), (TRAIN.format(2),))
    assert found.text().endswith(f"{TRAIN.format(0)}, {TRAIN.format(2)}.")


def test_a_shard_replaced_by_garbage_of_its_size(write, check):
    directory = write()
    path = Path(directory) / TRAIN.format(1)
    path.write_bytes(b"x" * path.stat().st_size)
    assert check(directory).damaged == (TRAIN.format(1),)


def test_images_that_the_teacher_does_not_make(write):
    found = checker.check(write(), lambda z: np.zeros(z.shape, np.uint8), images=5)
    assert len(found.damaged) == 5 and found.differing > 0.9


def test_rounding_is_no_damage(write, make_sampler):
    def other_kernels(z):
        images = make_sampler()(z)
        images[:, 0, 0, 0] ^= 1
        return images

    found = checker.check(write(), other_kernels, images=15)
    assert (found.to_make, found.largest) == ([], 1)
    assert found.differing == pytest.approx(1 / 48)


def test_all_images_are_made_at_once(write, make_sampler):
    sampler = make_sampler()
    checker.check(write(), sampler, images=15)
    assert [len(z) for z in sampler.fed] == [12]


def test_pairs_made_elsewhere_are_not_compared(write, plan):
    directory = write(store_noise=True)
    manifest = dataclasses.replace(manifests.read(directory), imported=True)
    manifests.write(directory, manifest)
    found = checker.check(directory, None, images=15)
    assert (found.to_make, found.compared) == ([], 0)


def test_a_shard_of_too_few_records(write, check):
    directory = write()
    path = Path(directory) / TRAIN.format(0)
    first = next(iter(tf.data.TFRecordDataset(str(path)))).numpy()
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(first)
    seal(directory, TRAIN.format(0))
    assert check(directory).damaged == (TRAIN.format(0),)


def test_a_set_that_is_being_made(write, check, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=4))
    found = check(str(tmp_path / "pairs"))
    assert len(found.missing) == 3 and found.damaged == ()


def test_nothing_at_all(write, check, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=0))
    found = check(str(tmp_path / "pairs"))
    assert (len(found.missing), found.compared) == (5, 0)


def test_records_that_cannot_be_read(write, check, monkeypatch):
    """The digest agrees: they were written so."""
    directory = write()
    name = TRAIN.format(0)
    with tf.io.TFRecordWriter(str(Path(directory) / name)) as file:
        file.write(b"no example")
    seal(directory, name)
    assert check(directory).damaged == (name,)
