import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_student.pairs.reader import PairSet
from tf_student.runtime import files
from tf_student.runtime.errors import InputError


def _noise(pairs):
    return [z.tobytes() for z, _ in pairs.as_numpy_iterator()]


@pytest.mark.parametrize("store_noise", [False, True])
@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_held_out_pairs_are_those_that_were_written(
    write, make_sampler, encoding, store_noise
):
    sampler = make_sampler()
    directory = write(sample=sampler, encoding=encoding, store_noise=store_noise)
    fed = np.concatenate(sampler.fed)[10:]
    pairs = list(PairSet(directory).held_out().as_numpy_iterator())
    np.testing.assert_array_equal([z for z, _ in pairs], fed)
    np.testing.assert_array_equal([i for _, i in pairs], make_sampler()(fed))


def test_training_noise_is_re_generated_bit_for_bit(many):
    pair_set, fed = many
    read = _noise(pair_set.train(seed=0, start=0).take(41))
    assert sorted(read) == sorted(z.tobytes() for z in fed[:41])


def test_training_images_belong_to_their_noise(many, make_sampler):
    pairs = list(many[0].train(seed=0, start=0).take(41).as_numpy_iterator())
    z, images = (np.stack(part) for part in zip(*pairs, strict=True))
    np.testing.assert_array_equal(images, make_sampler()(z))


def test_images_are_all_training_images_in_order(many, make_sampler):
    pair_set, fed = many
    images = np.stack(list(pair_set.images().as_numpy_iterator()))
    np.testing.assert_array_equal(images, make_sampler()(fed[:41]))


def test_held_out_pairs_are_not_trained_on(many):
    pair_set, fed = many
    held_out = _noise(pair_set.held_out())
    assert held_out == [z.tobytes() for z in fed[41:]]
    assert not set(held_out) & set(_noise(pair_set.train(seed=0, start=0).take(82)))


def test_every_epoch_covers_each_pair_once(many):
    read = _noise(many[0].train(seed=3, start=0).take(3 * 41))
    for epoch in range(3):
        assert len(set(read[epoch * 41 : (epoch + 1) * 41])) == 41


def test_epochs_and_seeds_have_their_own_order(many):
    read = _noise(many[0].train(seed=0, start=0).take(82))
    other = _noise(many[0].train(seed=1, start=0).take(41))
    assert len({tuple(read[:41]), tuple(read[41:]), tuple(other)}) == 3


# Within the first window, at its possible ends, in the second window, in epoch two.
@pytest.mark.parametrize("start", [0, 1, 15, 30, 31, 32, 33, 40, 41, 42, 73, 81, 100])
def test_stream_begins_at_any_position(many, start):
    whole = _noise(many[0].train(seed=7, start=0).take(150))
    assert _noise(many[0].train(seed=7, start=start).take(20)) == whole[start:][:20]


def test_whole_windows_are_skipped_without_reading(write, make_sampler):
    sampler = make_sampler()
    directory = write(sample=sampler, batch=2, pairs=34, shard_pairs=2)
    pair_set = PairSet(directory)
    last = _noise(pair_set.train(seed=0, start=32).take(2))
    # The last pairs of the epoch fill its second window, a single shard.
    shard = [sorted(z.tobytes() for z in batch) for batch in sampler.fed].index(
        sorted(last)
    )
    for path in Path(directory).glob("pairs-train.*"):
        if f"{shard:05d}-of" not in path.name:
            path.unlink()
    assert _noise(pair_set.train(seed=0, start=32).take(2)) == last


def test_incomplete_set_is_an_error(write, make_sampler, tmp_path):
    with pytest.raises(RuntimeError):
        write(sample=make_sampler(fail_at=3))
    with pytest.raises(
        InputError, match=r"1 of 5 shards are finished. Run `tf-student"
    ):
        PairSet(str(tmp_path / "pairs"))


def test_missing_shard_is_named(write):
    directory = write()
    os.remove(os.path.join(directory, "pairs-train.tfrecord-00001-of-00003"))
    with pytest.raises(InputError, match="00001-of-00003 is missing or truncated"):
        PairSet(directory)


def test_truncated_shard_is_named(write):
    directory = write()
    path = Path(directory) / "pairs-held_out.tfrecord-00001-of-00002"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(
        InputError, match=f"00001-of-00002 .*Expected: {size} bytes, received"
    ):
        PairSet(directory)


def _flip_a_bit(directory, name):
    path = Path(directory) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def test_flipped_bit_is_noticed_while_reading(write):
    directory = write()
    _flip_a_bit(directory, "pairs-train.tfrecord-00001-of-00003")
    with pytest.raises(tf.errors.DataLossError):
        _noise(PairSet(directory).train(seed=0, start=0).take(10))


@pytest.mark.parametrize(
    "name",
    ["pairs-train.tfrecord-00001-of-00003", "pairs-held_out.tfrecord-00000-of-00002"],
)
def test_diagnosis_names_the_shard_with_a_flipped_bit(write, name):
    directory = write()
    _flip_a_bit(directory, name)
    with pytest.raises(InputError, match=rf"{name} is damaged at record \d+\. "):
        PairSet(directory).diagnose()


def test_diagnosis_names_a_part_of_a_shard_that_was_taken_for_one(write):
    """An earlier version took the digest of what a power failure had left."""
    directory = write()
    path = Path(directory) / "pairs-train.tfrecord-00000-of-00003"
    path.write_bytes(path.read_bytes()[:-5])
    digest, size = files.sha256(str(path))
    manifest = Path(directory) / "manifest.json"
    values = json.loads(manifest.read_text())
    values["shards"][0] |= {"sha256": digest, "size": size}
    manifest.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"must hold 4 pairs\. Received: a part"):
        PairSet(directory).diagnose()


def test_diagnosis_of_an_intact_set(write):
    PairSet(write()).diagnose()


def test_noise_that_this_tensorflow_draws_differently_is_an_error(write):
    directory = write()
    path = Path(directory) / "manifest.json"
    values = {**json.loads(path.read_text()), "noise_sha256": "0" * 64}
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="noise that this TensorFlow"):
        PairSet(directory)


def test_newer_set_is_an_error(write):
    directory = write()
    path = Path(directory) / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(InputError, match="Expected: 1, received: 2"):
        PairSet(directory)


def test_a_subset_is_the_first_whole_shards(many):
    pair_set, fed = many
    # Five pairs are in the first three shards of two.
    read = _noise(pair_set.train(seed=0, start=0, max_pairs=5).take(6))
    assert sorted(read) == sorted(z.tobytes() for z in fed[:6])
    again = _noise(pair_set.train(seed=0, start=6, max_pairs=5).take(6))
    assert sorted(again) == sorted(read)


def test_the_damaged_record_is_named(write):
    directory = write()
    shard = Path(directory) / "pairs-train.tfrecord-00000-of-00003"
    data = bytearray(shard.read_bytes())
    # In the third of four records.
    data[len(data) // 8 * 5] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match="00000-of-00003 is damaged at record 2"):
        PairSet(directory).diagnose()


def test_no_stream_waits_for_a_tuner(many):
    pairs = many[0]
    for stream in (
        pairs.train(seed=0, start=0),
        pairs.held_out(),
        pairs.images(),
        pairs.dataset(4),
        pairs.held_out_dataset(4),
    ):
        assert stream.options().autotune.enabled is False
