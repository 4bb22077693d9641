import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu import reference

from tests.tolerances import assert_close

DTYPES = ["float32", "float16", "bfloat16"]
# (shape, groups): odd sizes, one position, one channel a group, one group, any rank.
SHAPES = [
    ((2, 8, 8, 32), 8),
    ((3, 5, 7, 6), 3),
    ((1, 1, 1, 4), 2),
    ((2, 3, 1, 5), 5),
    ((2, 3, 3, 7), 1),
    ((2, 9, 6), 2),
    ((2, 2, 3, 2, 4), 2),
    # Large enough for a mean by rows.
    ((2, 16, 17, 8), 2),
]


def by_definition(
    x, gamma, beta, bias=None, *, groups, epsilon=1e-6, activation="silu"
):
    """The formula in float64, image by image and group by group."""
    v = x.astype(np.float64).reshape(x.shape[0], -1, x.shape[-1])
    if bias is not None:
        v = v + bias.astype(np.float64)[:, None, :]
    y = np.empty_like(v)
    size = x.shape[-1] // groups
    for image in range(len(v)):
        for first in range(0, x.shape[-1], size):
            group = v[image, :, first : first + size]
            centred = group - group.mean()
            y[image, :, first : first + size] = centred / np.sqrt(group.var() + epsilon)
    y = y * gamma + beta
    if activation == "silu":
        y = y / (1 + np.exp(-y))
    return y.reshape(x.shape)


def arguments(shape, dtype="float32", seed=0):
    """x of the type, gamma and beta; a bias of the type too."""
    rng = np.random.default_rng(seed)
    x = tf.cast(rng.normal(0.5, 2.0, shape), dtype)
    gamma = rng.normal(1.0, 0.3, shape[-1:]).astype(np.float32)
    beta = rng.normal(0.0, 0.3, shape[-1:]).astype(np.float32)
    bias = tf.cast(rng.normal(size=(shape[0], shape[-1])), dtype)
    return x, gamma, beta, bias


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["silu", "none"])
@pytest.mark.parametrize(("shape", "groups"), SHAPES)
def test_agrees_with_the_definition(shape, groups, activation, dtype):
    x, gamma, beta, bias = arguments(shape, dtype)
    options = {"groups": groups, "activation": activation}
    y = reference.group_norm_silu(x, gamma, beta, bias, epsilon=1e-6, **options)
    expected = by_definition(x.numpy(), gamma, beta, bias.numpy(), **options)
    assert y.dtype == x.dtype
    assert_close(y, expected, dtype)


def test_without_a_bias():
    x, gamma, beta, _ = arguments((2, 3, 3, 8))
    y = reference.group_norm_silu(x, gamma, beta, groups=4, epsilon=1e-6)
    assert_close(y, by_definition(x.numpy(), gamma, beta, groups=4))


def test_epsilon_is_added_to_the_variance():
    x, gamma, beta, _ = arguments((2, 3, 3, 8))
    y = reference.group_norm_silu(x, gamma, beta, groups=4, epsilon=2.0)
    assert_close(y, by_definition(x.numpy(), gamma, beta, groups=4, epsilon=2.0))


def test_a_mean_that_is_large_beside_the_deviation():
    # E[v^2] - E[v]^2 in float32 would lose the variance of 1e-4 beside 1e6.
    rng = np.random.default_rng(0)
    x = rng.normal(1e3, 1e-2, (2, 8, 8, 8)).astype(np.float32)
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    options = {"groups": 2, "epsilon": 1e-12, "activation": "none"}
    y = reference.group_norm_silu(x, one, zero, **options)
    expected = by_definition(x, one, zero, **options)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 8, 8, 8), (2, 32, 16, 8)])
@pytest.mark.parametrize("columns", [slice(1), slice(None)])
def test_a_first_row_that_is_like_no_other(shape, columns):
    # Its mean is what moments are taken about.
    x, gamma, beta, bias = arguments(shape)
    x = x.numpy()
    x[:, 0, columns] = 1e3
    y = reference.group_norm_silu(x, gamma, beta, bias, groups=2, epsilon=1e-6)
    expected = by_definition(x, gamma, beta, bias.numpy(), groups=2)
    assert_close(y[:, 0, 0], expected[:, 0, 0])
    # The others lie close together, beside it.
    np.testing.assert_allclose(y[:, 1:], expected[:, 1:], atol=1e-5)


def test_a_constant_group_has_no_negative_variance():
    # Their mean is no float32.
    x = np.full((1, 3, 3, 3), 123456792.0, np.float32)
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    bias = np.array([[0.0, 0.0, 8.0]], np.float32)
    y = reference.group_norm_silu(x, one, zero, bias, groups=1, epsilon=1e-12)
    assert np.all(np.isfinite(y))


def test_statistics_of_float16_are_float32():
    # 300^2 is beyond float16.
    rng = np.random.default_rng(0)
    x = rng.normal(0.0, 300.0, (2, 8, 8, 8)).astype(np.float16)
    one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
    y = reference.group_norm_silu(x, one, zero, groups=2, epsilon=1e-6)
    assert_close(y, by_definition(x, one, zero, groups=2), "float16")


def test_a_constant_image_gives_beta():
    x = tf.fill([2, 4, 4, 8], 3.0)
    gamma, beta = np.ones(8, np.float32), np.arange(8, dtype=np.float32)
    y = reference.group_norm_silu(
        x, gamma, beta, groups=4, epsilon=1e-6, activation="none"
    )
    assert np.array_equal(y, np.broadcast_to(beta, (2, 4, 4, 8)))


def test_images_do_not_see_each_other():
    x, gamma, beta, bias = arguments((3, 4, 4, 8))
    together = reference.group_norm_silu(x, gamma, beta, bias, groups=4, epsilon=1e-6)
    last = reference.group_norm_silu(
        x[2:], gamma, beta, bias[2:], groups=4, epsilon=1e-6
    )
    assert_close(together[2:], last)


def test_nan_stays_in_its_image():
    x, gamma, beta, _ = arguments((2, 4, 4, 8))
    x = x.numpy()
    x[0, 0, 0, 0] = np.nan
    y = reference.group_norm_silu(x, gamma, beta, groups=1, epsilon=1e-6).numpy()
    assert np.all(np.isnan(y[0]))
    assert not np.any(np.isnan(y[1]))


@pytest.mark.parametrize("activation", ["silu", "none"])
def test_gradients_agree_with_differences(activation):
    x, gamma, beta, bias = arguments((2, 2, 3, 4))
    weights = np.random.default_rng(1).normal(size=x.shape)

    def loss(x, gamma, beta, bias):
        y = by_definition(x, gamma, beta, bias, groups=2, activation=activation)
        return np.sum(weights * y)

    values = [np.asarray(v, np.float64) for v in (x, gamma, beta, bias)]
    inputs = [tf.constant(v, tf.float32) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = reference.group_norm_silu(
            *inputs, groups=2, epsilon=1e-6, activation=activation
        )
        total = tf.reduce_sum(y * tf.constant(weights, tf.float32))
    for number, gradient in enumerate(tape.gradient(total, inputs)):
        expected = np.empty_like(values[number])
        for index in np.ndindex(expected.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [v.copy() for v in values]
                moved[number][index] += step
                ends.append(loss(*moved))
            expected[index] = (ends[0] - ends[1]) / 2e-5
        np.testing.assert_allclose(gradient, expected, atol=1e-3)


def test_a_graph_of_unknown_sizes_and_xla_agree_with_eager():
    x, gamma, beta, bias = arguments((2, 4, 6, 8))

    def call(x, bias):
        return reference.group_norm_silu(x, gamma, beta, bias, groups=4, epsilon=1e-6)

    specs = [
        tf.TensorSpec([None, None, None, 8], tf.float32),
        tf.TensorSpec([None, 8], tf.float32),
    ]
    eager = call(x, bias)
    for xla in (False, True):
        graph = tf.function(call, input_signature=specs, jit_compile=xla)
        assert_close(graph(x, bias), eager)
