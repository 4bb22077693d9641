import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu import reference
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.tolerances import assert_close

RNG = np.random.default_rng(0)
GAMMA, BETA = RNG.normal(size=(2, 8)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("activation", ["silu", "none"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_agrees_with_the_formula(dtype, activation, with_bias):
    x = tf.cast(RNG.normal(size=(2, 5, 3, 8)), dtype)
    bias = tf.cast(RNG.normal(size=(2, 8)), dtype) if with_bias else None
    options = {"groups": 4, "epsilon": 1e-3, "activation": activation}
    y = ops.group_norm_silu(x, GAMMA, BETA, bias, **options)
    assert y.dtype == x.dtype
    assert_close(y, reference.group_norm_silu(x, GAMMA, BETA, bias, **options), dtype)


def test_silu_and_the_small_epsilon_are_the_defaults():
    x = tf.constant(RNG.normal(size=(2, 4, 4, 8)), tf.float32) * 1e-3
    y = ops.group_norm_silu(x, GAMMA, BETA, groups=4)
    expected = reference.group_norm_silu(
        x, GAMMA, BETA, groups=4, epsilon=1e-6, activation="silu"
    )
    assert_close(y, expected)


@pytest.mark.parametrize("shape", [(8,), (2, 8)])
def test_a_tensor_without_positions_is_refused(shape):
    with pytest.raises(ValueError) as error:
        ops.group_norm_silu(tf.ones(shape), GAMMA, BETA, groups=4)
    assert str(error.value) == (
        "`x` must have rank 3 or more and a known number of channels. "
        f"Received: x.shape={shape}."
    )


@pytest.mark.parametrize(
    ("spec", "received"),
    [([None, 4, 4, None], "(None, 4, 4, None)"), (None, "<unknown>")],
)
def test_unknown_channels_are_refused(spec, received):
    function = tf.function(
        lambda x: ops.group_norm_silu(x, GAMMA, BETA, groups=4),
        input_signature=[tf.TensorSpec(spec, tf.float32)],
    )
    with pytest.raises(ValueError) as error:
        function.get_concrete_function()
    assert "`x` must have rank 3 or more and a known number of channels. " in str(
        error.value
    )
    assert f"Received: x.shape={received}." in str(error.value)


@pytest.mark.parametrize("groups", [3, 16, 0, -2])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ValueError) as error:
        ops.group_norm_silu(tf.ones([2, 4, 4, 8]), GAMMA, BETA, groups=groups)
    assert str(error.value) == (
        f"`groups` must divide the channels. Received: groups={groups}, channels=8."
    )


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError) as error:
        ops.group_norm_silu(
            tf.ones([2, 4, 4, 8]), GAMMA, BETA, groups=4, activation="relu"
        )
    assert str(error.value) == (
        "`activation` must be one of ('silu', 'none'). Received: activation='relu'."
    )
