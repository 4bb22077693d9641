import math

import numpy as np
import pytest

from tests.models.references import group_norm, silu
from tests.networks import randomise
from tests.tolerances import assert_close
from tf_student.models import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)


def test_time_embedding_is_two_dense_layers_on_sinusoids():
    layer = layers.TimestepEmbedding(8)
    t = np.array([0, 1, 500, 999], np.int32)
    layer.build((None,))
    randomise(layer)
    frequencies = np.exp(-math.log(10000) * np.arange(4) / 3)
    angles = t[:, None] * frequencies
    sinusoids = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    kernel_0, bias_0, kernel_1, bias_1 = [w.numpy() for w in layer.weights]
    expected = silu(sinusoids @ kernel_0 + bias_0) @ kernel_1 + bias_1
    actual = layer(t)
    assert actual.shape == (4, 32)
    # float32 angles of up to 999 are exact to 6e-5.
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_time_embedding_tells_late_steps_apart_in_bfloat16():
    layer = layers.TimestepEmbedding(8, dtype="mixed_bfloat16")
    layer.build((None,))
    randomise(layer)
    # The nearest bfloat16 of both is 1000.
    late = layer(np.array([998, 999], np.int32)).numpy().astype(np.float32)
    assert np.max(np.abs(late[0] - late[1])) > 0.1


def test_group_norm_silu_by_definition():
    layer = layers.GroupNormSiLU(groups=4)
    assert_close(layer(X), silu(group_norm(X, 4)))


def test_group_norm_without_activation():
    layer = layers.GroupNormSiLU(groups=2, epsilon=0.5, activation="none")
    assert_close(layer(X), group_norm(X, 2, epsilon=0.5))


def test_group_norm_silu_adds_the_bias_first():
    bias = RNG.normal(size=(2, 8)).astype(np.float32)
    layer = layers.GroupNormSiLU(groups=4)
    expected = silu(group_norm(X + bias[:, None, None, :], 4))
    assert_close(layer(X, bias), expected)


def test_group_norm_silu_scales_and_shifts_channels():
    layer = layers.GroupNormSiLU(groups=4, activation="none")
    layer.build(X.shape)
    gamma, beta = RNG.normal(size=(2, 8)).astype(np.float32)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    assert_close(layer(X), group_norm(X, 4) * gamma + beta)


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError) as error:
        layers.GroupNormSiLU(groups=3)(X)
    assert "`groups` must divide the channels. Received: groups=3, channels=8." in str(
        error.value
    )


def test_the_output_shape_is_known_before_the_call():
    layer = layers.GroupNormSiLU(groups=4)
    assert layer.compute_output_shape((None, 4, 4, 8)) == (None, 4, 4, 8)
    assert layer(X).shape == X.shape
    embedding = layers.TimestepEmbedding(8)
    assert embedding.compute_output_shape((None,)) == (None, 32)
