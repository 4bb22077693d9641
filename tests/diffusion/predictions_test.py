import numpy as np
import pytest
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.diffusion import predictions

RNG = np.random.default_rng(0)
X_0, EPS = RNG.normal(size=(2, 3, 4, 4, 2)).astype(np.float32)


@pytest.mark.parametrize("a", [0.9999, 0.5, 0.01])
def test_x_0_is_recovered_from_the_noise_in_x(a):
    x = np.sqrt(a) * X_0 + np.sqrt(1 - a) * EPS
    assert_close(predictions.x_0_from_eps(x, EPS, alpha_bar=a), X_0, "float16")


def test_x_0_by_hand():
    # (1 - 0.6 * 0.5) / 0.8
    x_0 = predictions.x_0_from_eps(
        tf.constant([1.0]), tf.constant([0.5]), alpha_bar=0.64
    )
    assert x_0.dtype == tf.float32
    assert_close(x_0, [0.875])


def test_each_example_may_have_its_own_noise_level():
    a = np.array([0.9, 0.5, 0.1], np.float32)[:, None, None, None]
    together = predictions.x_0_from_eps(X_0, EPS, alpha_bar=a)
    apart = [
        predictions.x_0_from_eps(X_0[i], EPS[i], alpha_bar=float(a[i, 0, 0, 0]))
        for i in range(3)
    ]
    assert_close(together, np.stack(apart))
