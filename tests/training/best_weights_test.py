import numpy as np
import pytest

from tests.networks import TINY
from tf_student.models.unet import UNet
from tf_student.training.best_weights import BestWeights


@pytest.fixture
def state(one_replica, make_toy_state, toy_train):
    return make_toy_state(one_replica, toy_train(), lambda: UNet(TINY))


@pytest.fixture
def keep(state, tmp_path):
    """Keeps EMA weights that all have one value."""

    def run(value, loss):
        for weight in state.ema.weights:
            weight.assign(np.full(weight.shape, value, np.float32))
        return BestWeights(str(tmp_path)).keep(state, loss)

    return run


def _saved(tmp_path):
    unet = UNet(TINY)
    unet.load_weights(tmp_path / "model.keras")
    (value,) = {float(w.numpy().flat[0]) for w in unet.weights}
    return value


def test_lower_loss_replaces_the_weights(keep, state, tmp_path):
    assert keep(0.25, loss=3.0)
    assert keep(0.5, loss=2.0)
    assert _saved(tmp_path) == 0.5
    assert float(state.best.numpy()) == 2.0


@pytest.mark.parametrize("loss", [2.0, 2.5, float("nan")])
def test_loss_that_is_not_lower_keeps_the_earlier_weights(keep, state, tmp_path, loss):
    keep(0.25, loss=2.0)
    assert not keep(0.5, loss=loss)
    assert _saved(tmp_path) == 0.25
    assert float(state.best.numpy()) == 2.0


def test_without_a_loss_the_weights_are_always_written(keep, state, tmp_path):
    keep(0.25, loss=2.0)
    assert keep(0.5, loss=None)
    assert _saved(tmp_path) == 0.5
    assert float(state.best.numpy()) == 2.0


def test_trained_weights_are_not_written(keep, state, tmp_path):
    for weight in state.model.weights:
        weight.assign(np.full(weight.shape, 7.0, np.float32))
    keep(0.25, loss=None)
    assert _saved(tmp_path) == 0.25
