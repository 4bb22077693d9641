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


def damage(directory, name, at=-20):
    path = Path(directory) / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def record_digest(directory, name):
    """Updates the manifest with the present digest of a shard."""
    manifest = manifests.read(directory)
    shards = tuple(
        shard_index.with_digest(directory, s) if s.name == name else s
        for s in manifest.shards
    )
    manifests.write(directory, dataclasses.replace(manifest, shards=shards))


@pytest.mark.parametrize("changes", [{}, {"store_noise": True}, {"encoding": "png"}])
def test_a_complete_set(write, check, changes):
    findings = check(write(**changes))
    assert (findings.to_generate, findings.differing) == ([], 0.0)
    # Three of each of five shards; one has two, one has one.
    assert findings.compared == 12
    assert findings.text().startswith(
        "All shards are complete and intact; the teacher re-generated 12 images, and "
    )


def test_missing_and_damaged_shards_are_named(write, check):
    directory = write()
    (Path(directory) / TRAIN.format(0)).unlink()
    damage(directory, TRAIN.format(2))
    findings = check(directory)
    assert (findings.missing, findings.damaged) == (
        (TRAIN.format(0),),
        (TRAIN.format(2),),
    )
    assert findings.text().endswith(f"{TRAIN.format(0)}, {TRAIN.format(2)}.")


def test_a_shard_that_another_process_removes_meanwhile(write, check, monkeypatch):
    directory = write()
    really_hash = checker.files.sha256

    def remove_and_hash(path):
        (Path(directory) / TRAIN.format(2)).unlink(missing_ok=True)
        return really_hash(path)

    monkeypatch.setattr(checker.files, "sha256", remove_and_hash)
    findings = check(directory)
    assert (findings.missing, findings.damaged) == ((TRAIN.format(2),), ())


def test_a_shard_replaced_by_garbage_of_its_size(write, check):
    directory = write()
    path = Path(directory) / TRAIN.format(1)
    path.write_bytes(b"x" * path.stat().st_size)
    assert check(directory).damaged == (TRAIN.format(1),)


def test_images_of_another_teacher(write):
    findings = checker.check(write(), lambda z: np.zeros(z.shape, np.uint8), images=5)
    assert len(findings.damaged) == 5 and findings.differing > 0.9


def test_rounding_is_not_damage(write, make_sampler):
    def other_kernels(z):
        images = make_sampler()(z)
        images[:, 0, 0, 0] ^= 1
        return images

    findings = checker.check(write(), other_kernels, images=15)
    assert (findings.to_generate, findings.largest) == ([], 1)
    assert findings.differing == pytest.approx(1 / 48)


def test_all_images_are_generated_at_once(write, make_sampler):
    sampler = make_sampler()
    checker.check(write(), sampler, images=15)
    assert [len(z) for z in sampler.fed] == [12]


def test_imported_pairs_are_not_compared(write, plan):
    directory = write(store_noise=True)
    manifest = dataclasses.replace(manifests.read(directory), imported=True)
    manifests.write(directory, manifest)
    findings = checker.check(directory, None, images=15)
    assert (findings.to_generate, findings.compared) == ([], 0)


def test_a_shard_of_too_few_records(write, check):
    directory = write()
    path = Path(directory) / TRAIN.format(0)
    first = next(iter(tf.data.TFRecordDataset(str(path)))).numpy()
    with tf.io.TFRecordWriter(str(path)) as file:
        file.write(first)
    record_digest(directory, TRAIN.format(0))
    assert check(directory).damaged == (TRAIN.format(0),)


def test_an_unfinished_set(write, check, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=4))
    findings = check(str(tmp_path / "pairs"))
    assert len(findings.missing) == 3 and findings.damaged == ()


def test_a_set_without_shards(write, check, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=0))
    findings = check(str(tmp_path / "pairs"))
    assert (len(findings.missing), findings.compared) == (5, 0)


def test_records_that_cannot_be_read(write, check, monkeypatch):
    """The digest agrees: the records were written like this."""
    directory = write()
    name = TRAIN.format(0)
    with tf.io.TFRecordWriter(str(Path(directory) / name)) as file:
        file.write(b"no example")
    record_digest(directory, name)
    assert check(directory).damaged == (name,)
