import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_student.training import ema


@pytest.fixture
def pair(strategy):
    """A strategy, an EMA weight and a trained weight."""
    with strategy.scope():
        return strategy, keras.Variable([1.0, 1.0]), keras.Variable([3.0, -1.0])


def test_moves_by_one_minus_decay(pair):
    strategy, ema_weight, weight = pair
    ema.update(strategy, [ema_weight], [weight], 0.9)
    np.testing.assert_allclose(ema_weight.numpy(), [1.2, 0.8], rtol=1e-6)


def test_approaches_geometrically(pair):
    strategy, ema_weight, weight = pair
    for _ in range(3):
        ema.update(strategy, [ema_weight], [weight], 0.5)
    # 3 - 2 * 0.5 ** 3 and its mirror image.
    np.testing.assert_allclose(ema_weight.numpy(), [2.75, -0.75], rtol=1e-6)


def test_does_not_change_the_trained_weight(pair):
    strategy, ema_weight, weight = pair
    ema.update(strategy, [ema_weight], [weight], 0.9)
    np.testing.assert_array_equal(weight.numpy(), [3.0, -1.0])


def test_updates_every_device_within_a_function(pair):
    strategy, ema_weight, weight = pair
    tf.function(lambda: ema.update(strategy, [ema_weight], [weight], 0.75))()
    copies = strategy.experimental_local_results(ema_weight.value)
    assert len(copies) == strategy.num_replicas_in_sync
    for copy in copies:
        np.testing.assert_allclose(copy.numpy(), [1.5, 0.5], rtol=1e-6)


def test_rejects_another_number_of_weights(pair):
    strategy, ema_weight, weight = pair
    with pytest.raises(ValueError, match="zip"):
        ema.update(strategy, [ema_weight], [weight, weight], 0.9)
