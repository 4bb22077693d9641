import numpy as np
import pytest
import tensorflow as tf

from tf_student.runtime.devices import make_strategy
from tf_student.runtime.fixed_batches import FixedBatches

EXAMPLES = np.random.default_rng(0).normal(size=(11, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 3, 4, 8, 11])
def test_results_have_the_number_and_the_order_of_the_examples(strategy, n):
    run = FixedBatches(strategy, lambda x: 2 * x, device_batch=4)
    assert np.array_equal(run(EXAMPLES[:n]), 2 * EXAMPLES[:n])


def test_a_batch_of_all_devices(strategy):
    run = FixedBatches(strategy, lambda x: x, device_batch=4)
    assert run.batch == 4 * strategy.num_replicas_in_sync


def test_each_device_always_receives_a_full_batch(strategy):
    traced = []

    def function(x):
        traced.append(tuple(x.shape))
        return x

    run = FixedBatches(strategy, function, device_batch=4)
    run(EXAMPLES)
    run(EXAMPLES[:1])
    assert set(traced) == {(4, 2, 3)}


def test_the_function_is_traced_once_for_each_device(strategy):
    traced = []
    run = FixedBatches(strategy, lambda x: (traced.append(1), x)[1], device_batch=4)
    run(EXAMPLES)
    before = len(traced)
    run(EXAMPLES[:3])
    assert len(traced) == before


def test_results_may_be_a_structure_of_other_types_and_shapes(strategy):
    run = FixedBatches(
        strategy,
        lambda x: {"sum": tf.reduce_sum(x, [1, 2]), "sign": (x[:, 0] > 0, x)},
        device_batch=4,
    )
    results = run(EXAMPLES)
    np.testing.assert_allclose(results["sum"], EXAMPLES.sum((1, 2)), rtol=1e-5)
    assert np.array_equal(results["sign"][0], EXAMPLES[:, 0] > 0)
    assert np.array_equal(results["sign"][1], EXAMPLES)


def test_results_do_not_depend_on_the_number_of_devices():
    one, two = (
        FixedBatches(
            make_strategy([f"CPU:{i}" for i in range(n)]), tf.tanh, device_batch=4
        )
        for n in (1, 2)
    )
    assert np.array_equal(one(EXAMPLES), two(EXAMPLES))
