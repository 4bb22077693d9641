import numpy as np
import pytest

from tf_student.data import streams
from tf_student.pairs import manifests
from tf_student.pairs.online import OnlinePairs
from tf_student.pairs.reader import PairSet
from tf_student.pairs.writer import write_pairs


@pytest.fixture
def open_both(plan, tmp_path, make_sampler):
    """A stored set, the same pairs online, and the sampler of the latter."""

    def make(**changes):
        manifest, directory = plan(**changes), str(tmp_path / "pairs")
        write_pairs(directory, manifest, make_sampler(), batch=3)
        sampler = make_sampler()
        return PairSet(directory), OnlinePairs(manifest, sampler, batch=3), sampler

    return make


def _equal(stored, online, dtype=np.uint8):
    stored, online = (list(d.as_numpy_iterator()) for d in (stored, online))
    assert len(stored) == len(online) > 0
    for (z, image), (other_z, other_image) in zip(stored, online, strict=True):
        np.testing.assert_array_equal(z, other_z)
        np.testing.assert_array_equal(image, other_image)
        assert image.dtype == other_image.dtype == dtype


@pytest.mark.parametrize(
    "changes",
    [
        # One window with a short shard in it, and two windows.
        {},
        {"pairs": 41, "shard_pairs": 2},
        {"pairs": 18, "shard_pairs": 5, "pairs_seed": 7},
        {"encoding": "png", "store_noise": True},
    ],
)
def test_training_pairs_are_those_of_the_stored_set(open_both, changes):
    stored, online, _ = open_both(**changes)
    epochs = 2 * stored.manifest.pairs.pairs + 5
    _equal(*(s.train(seed=3, start=0).take(epochs) for s in (stored, online)))


# Within a window, in the second one, at the end of an epoch, in the next.
@pytest.mark.parametrize("start", [5, 33, 40, 41, 50])
def test_a_stream_begins_at_any_position(open_both, start):
    stored, online, _ = open_both(pairs=41, shard_pairs=2)
    _equal(*(s.train(seed=0, start=start).take(20) for s in (stored, online)))


def test_a_subset_is_the_same(open_both):
    stored, online, _ = open_both()
    _equal(*(s.train(seed=0, start=0, max_pairs=5).take(30) for s in (stored, online)))


def test_a_worker_samples_only_its_part(open_both):
    stored, online, sampler = open_both()
    part = streams.Part(size=2, index=1, count=2)
    _equal(*(s.train(seed=0, start=0, part=part).take(6) for s in (stored, online)))
    # Two batches of three, and no more than two more in advance.
    assert 2 <= len(sampler.fed) <= 4


def test_held_out_pairs_are_those_of_the_stored_set(open_both):
    stored, online, _ = open_both()
    _equal(stored.held_out(), online.held_out())


def test_held_out_pairs_are_sampled_once(open_both):
    _, online, sampler = open_both()
    for _ in range(2):
        assert len(list(online.held_out())) == 5
    assert len(sampler.fed) == 2


def test_batches_for_fit_are_those_of_the_stored_set(open_both):
    stored, online, _ = open_both(pairs=41, shard_pairs=2)
    both = [pairs.dataset(8, seed=3) for pairs in (stored, online)]
    assert [len(batches) for batches in both] == [5, 5]
    for _ in range(2):
        _equal(*both, dtype=np.float32)


def test_a_subset_for_fit_is_the_same(open_both):
    stored, online, _ = open_both()
    both = [pairs.dataset(3, max_pairs=5) for pairs in (stored, online)]
    assert [len(batches) for batches in both] == [2, 2]
    _equal(*both, dtype=np.float32)


def test_held_out_batches_are_those_of_the_stored_set(open_both):
    stored, online, _ = open_both()
    both = [pairs.held_out_dataset(4) for pairs in (stored, online)]
    assert [len(batches) for batches in both] == [2, 2]
    _equal(*both, dtype=np.float32)


def test_a_batch_that_is_too_large_is_an_error(open_both):
    _, online, _ = open_both()
    with pytest.raises(ValueError, match="batch_size=11, pairs=10"):
        online.dataset(11)


def test_fingerprint_differs_from_that_of_the_stored_set(open_both):
    stored, online, _ = open_both()
    assert online.fingerprint == f"online-{manifests.fingerprint(online.manifest)}"
    assert stored.fingerprint not in online.fingerprint


def test_diagnosis_finds_no_damage(open_both):
    open_both()[1].diagnose()


def test_nothing_is_sampled_after_closing(open_both):
    _, online, sampler = open_both()
    pairs = iter(online.train(seed=0, start=0))
    next(pairs)
    online.close()
    made = len(sampler.fed)
    with pytest.raises(Exception, match="The pairs are closed"):
        list(pairs)
    assert len(sampler.fed) == made


def test_no_stream_waits_for_a_tuner(open_both):
    _, online, _ = open_both()
    for stream in (
        online.train(seed=0, start=0),
        online.held_out(),
        online.dataset(4),
        online.held_out_dataset(4),
    ):
        assert stream.options().autotune.enabled is False
