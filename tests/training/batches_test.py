import numpy as np
import pytest
import tensorflow as tf

from tf_student.runtime.devices import make_strategy
from tf_student.runtime.errors import InputError
from tf_student.training.batches import distribute


def _first_two_batches(strategy, batch_size):
    batches = iter(
        distribute(strategy, lambda part: tf.data.Dataset.range(100), batch_size)
    )
    return [
        np.concatenate(strategy.experimental_local_results(next(batches))).tolist()
        for _ in range(2)
    ]


def test_replicas_together_get_consecutive_examples(strategy):
    assert _first_two_batches(strategy, 4) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_rejects_a_batch_that_the_replicas_do_not_divide():
    two = make_strategy(["CPU:0", "CPU:1"])
    with pytest.raises(InputError, match="batch_size=3, replicas=2"):
        distribute(two, lambda part: tf.data.Dataset.range(9), 3)


def test_parts_must_divide_the_batch_of_a_replica(strategy):
    with pytest.raises(InputError, match="accumulate=3, batch_size=4"):
        distribute(strategy, tf.data.Dataset.range, 4, parts=3)
