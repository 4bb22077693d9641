import dataclasses

import numpy as np
import pytest

from tests.networks import TINY, randomise
from tf_student.models.student import Student
from tf_student.models.unet import UNet


def test_an_epoch_for_fit_has_every_pair_once(many, make_sampler):
    pair_set, fed = many
    batches = list(pair_set.dataset(1).as_numpy_iterator())
    z, images = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert sorted(map(bytes, z)) == sorted(map(bytes, fed[:41]))
    assert z.dtype == images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1
    np.testing.assert_array_equal(images, make_sampler()(z) / np.float32(127.5) - 1)


def test_each_iteration_for_fit_has_its_own_order(many):
    pair_set, _ = many

    def epochs(**kwargs):
        batches = pair_set.dataset(41, **kwargs)
        return [next(iter(batches))[0].numpy().tobytes() for _ in range(3)]

    first = epochs()
    assert len({*first, *epochs(seed=1)}) == 6
    assert epochs() == first


def test_the_epochs_for_fit_are_those_of_distill(many):
    pair_set, _ = many
    batches = pair_set.dataset(41, seed=3)
    read = [bytes(z) for _ in range(2) for z in next(iter(batches))[0].numpy()]
    stream = pair_set.train(seed=3, start=0).take(82)
    assert read == [bytes(z) for z, _ in stream.as_numpy_iterator()]


def test_the_number_of_batches_is_known(many):
    pair_set, _ = many
    assert len(pair_set.dataset(4)) == len(list(pair_set.dataset(4))) == 10
    # Five pairs are in the first three shards of two.
    assert len(pair_set.dataset(4, max_pairs=5)) == 1
    assert len(pair_set.held_out_dataset(4)) == 2


def test_a_subset_for_fit_is_the_first_whole_shards(many):
    pair_set, fed = many
    z = np.concatenate([z for z, _ in pair_set.dataset(2, max_pairs=5)])
    assert sorted(map(bytes, z)) == sorted(map(bytes, fed[:6]))


def test_held_out_batches_have_all_pairs_in_order(many, make_sampler):
    pair_set, fed = many
    batches = list(pair_set.held_out_dataset(4).as_numpy_iterator())
    assert [len(z) for z, _ in batches] == [4, 1]
    z, images = (np.concatenate(part) for part in zip(*batches, strict=True))
    np.testing.assert_array_equal(z, fed[41:])
    assert z.dtype == images.dtype == np.float32
    np.testing.assert_array_equal(images, make_sampler()(z) / np.float32(127.5) - 1)


@pytest.mark.parametrize(
    ("batch_size", "max_pairs", "pairs"), [(42, 0, 41), (7, 5, 6), (0, 0, 41)]
)
def test_a_batch_that_is_too_large_is_an_error(many, batch_size, max_pairs, pairs):
    message = f"Received: batch_size={batch_size}, pairs={pairs}"
    with pytest.raises(ValueError, match=message):
        many[0].dataset(batch_size, max_pairs=max_pairs)


def test_an_empty_held_out_batch_is_an_error(many):
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        many[0].held_out_dataset(0)


def test_keras_trains_on_the_pairs(many):
    pair_set, _ = many
    student = Student(randomise(UNet(dataclasses.replace(TINY, image_size=4))))
    student.compile("sgd", "mae")
    history = student.fit(
        pair_set.dataset(8),
        validation_data=pair_set.held_out_dataset(4),
        epochs=2,
        verbose=0,
    ).history
    assert len(history["loss"]) == len(history["val_loss"]) == 2
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
