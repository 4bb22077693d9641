import itertools

import pytest
import tensorflow as tf

from tf_student.data import streams
from tf_student.runtime.errors import InputError

COUNT = 10


def shuffled(start: int, seed: int = 3, size: int = COUNT) -> tf.data.Dataset:
    def epoch(number, skip):
        elements = tf.data.Dataset.range(COUNT)
        return streams.shuffle_windows(
            elements, size=size, seed=seed, epoch=number
        ).skip(skip)

    return streams.endless(epoch, count=COUNT, start=start)


def take(dataset: tf.data.Dataset, n: int) -> list[tuple[int, int]]:
    pairs = itertools.islice(dataset.as_numpy_iterator(), n)
    return [(int(position), int(element)) for position, element in pairs]


@pytest.mark.parametrize("start", [1, 9, 10, 11, 25])
def test_a_later_beginning_gives_the_tail(start):
    assert take(shuffled(start), 35 - start) == take(shuffled(0), 35)[start:]


def test_positions_count_up_from_the_start():
    assert [position for position, _ in take(shuffled(17), 5)] == [17, 18, 19, 20, 21]


def test_every_epoch_is_a_permutation():
    elements = [element for _, element in take(shuffled(0), 3 * COUNT)]
    for epoch in range(3):
        of_epoch = elements[epoch * COUNT : (epoch + 1) * COUNT]
        assert sorted(of_epoch) == list(range(COUNT))


def test_each_epoch_has_another_order():
    elements = [element for _, element in take(shuffled(0), 3 * COUNT)]
    orders = {tuple(elements[i : i + COUNT]) for i in range(0, 3 * COUNT, COUNT)}
    assert len(orders | {tuple(range(COUNT))}) == 4


def test_another_seed_gives_another_order():
    assert take(shuffled(0, seed=3), COUNT) != take(shuffled(0, seed=4), COUNT)


def test_the_same_seed_gives_the_same_order():
    assert take(shuffled(0), 2 * COUNT) == take(shuffled(0), 2 * COUNT)


def test_elements_stay_in_their_window():
    elements = [element for _, element in take(shuffled(0, size=4), COUNT)]
    assert sorted(elements[:4]) == [0, 1, 2, 3]
    assert sorted(elements[4:8]) == [4, 5, 6, 7]
    assert sorted(elements[8:]) == [8, 9]


def test_windows_of_one_epoch_are_permuted_differently():
    dataset = tf.data.Dataset.range(64)
    mixed = streams.shuffle_windows(
        dataset, size=16, seed=0, epoch=tf.constant(0, tf.int64)
    )
    values = [int(value) for value in mixed.as_numpy_iterator()]
    windows = {tuple(v % 16 for v in values[i : i + 16]) for i in range(0, 64, 16)}
    assert len(windows) == 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_share_the_blocks_in_turn(count):
    stream = tf.data.Dataset.range(24)
    for index in range(count):
        part = streams.Part(size=2, index=index, count=count)
        expected = [i for i in range(24) if i // 2 % count == index]
        assert list(part.of(stream).as_numpy_iterator()) == expected


def test_datasets_derived_from_a_stream_are_not_autotuned():
    made = [shuffled(0).map(lambda place, element: element).batch(2).prefetch(1)]
    made.append(streams.untuned(tf.data.Dataset.range(3)).repeat())
    assert [dataset.options().autotune.enabled for dataset in made] == [False, False]


def test_a_failure_of_a_stream_is_diagnosed():
    def diagnose():
        raise InputError("a.png is damaged.")

    with pytest.raises(InputError, match=r"a\.png is damaged"):
        with streams.diagnosed(diagnose):
            raise tf.errors.DataLossError(None, None, "corrupted record")


def test_a_failure_without_a_diagnosis_is_raised():
    with pytest.raises(tf.errors.InvalidArgumentError):
        with streams.diagnosed(lambda: None):
            raise tf.errors.InvalidArgumentError(None, None, "another reason")
