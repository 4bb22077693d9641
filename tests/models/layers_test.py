import math

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import randomise
from tests.tolerances import assert_close
from tf_student.models import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)
TEMB = RNG.normal(size=(2, 16)).astype(np.float32)


def silu(x):
    return x / (1 + np.exp(-x))


def group_norm(x, groups, epsilon=1e-6):
    """By definition, in float64, with unit gamma and no beta."""
    batch, height, width, _ = x.shape
    rows = x.astype(np.float64).reshape(batch, height * width, groups, -1)
    mean = rows.mean(axis=(1, 3), keepdims=True)
    variance = rows.var(axis=(1, 3), keepdims=True)
    return ((rows - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)


# TimestepEmbedding.


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


# GroupNormSiLU.


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


# ResBlock.


def conv(x, kernel, bias):
    """3x3 or 1x1 convolution with zero padding, in float64."""
    pad = kernel.shape[0] // 2
    x = np.pad(x.astype(np.float64), [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    height, width = x.shape[1] - 2 * pad, x.shape[2] - 2 * pad
    return bias + sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )


@pytest.mark.parametrize("filters", [8, 16])
def test_res_block_by_definition(filters):
    block = layers.ResBlock(filters, groups=4)
    block(X, TEMB)
    randomise(block)

    def norm(layer, x):
        return silu(group_norm(x, 4) * layer.gamma.numpy() + layer.beta.numpy())

    def weights(layer):
        return [weight.numpy() for weight in layer.weights]

    kernel, bias = weights(block.time)
    h = conv(norm(block.norm_0, X), *weights(block.conv_0))
    h = h + (silu(TEMB) @ kernel + bias)[:, None, None, :]
    h = conv(norm(block.norm_1, h), *weights(block.conv_1))
    shortcut = X if filters == 8 else conv(X, *weights(block.shortcut))
    assert_close(block(X, TEMB), shortcut + h)


def test_a_new_res_block_of_one_width_is_the_identity():
    assert np.array_equal(layers.ResBlock(8, groups=4)(X, TEMB), X)


@pytest.fixture
def dropping():
    block = layers.ResBlock(8, groups=4, dropout=0.5)
    block(X, TEMB)
    return randomise(block)


def test_dropout_is_a_function_of_its_seed(dropping):
    one = dropping(X, TEMB, training=True, seed=tf.constant([1, 2]))
    same = dropping(X, TEMB, training=True, seed=tf.constant([1, 2]))
    other = dropping(X, TEMB, training=True, seed=tf.constant([1, 3]))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_dropout_without_a_seed_is_random(dropping):
    one, other = (dropping(X, TEMB, training=True) for _ in range(2))
    assert not np.allclose(one, other)


def test_dropout_rests_outside_training(dropping):
    seeded = dropping(X, TEMB, training=False, seed=tf.constant([1, 2]))
    block = layers.ResBlock(8, groups=4, dropout=0.0)
    block(X, TEMB)
    block.set_weights(dropping.get_weights())
    assert np.array_equal(seeded, dropping(X, TEMB))
    assert_close(seeded, block(X, TEMB, training=True))


def test_dropout_under_xla_is_a_function_of_its_seed(dropping):
    compiled = tf.function(
        lambda seed: dropping(X, TEMB, training=True, seed=seed), jit_compile=True
    )
    one, same, other = (compiled(tf.constant([1, i])) for i in (2, 2, 3))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


# SelfAttention.


def test_attention_by_definition():
    layer = layers.SelfAttention(groups=4)
    layer(X)
    randomise(layer)
    qkv, out = ([w.numpy() for w in part.weights] for part in (layer.qkv, layer.out))
    normed = group_norm(X, 4) * layer.norm.gamma.numpy() + layer.norm.beta.numpy()
    rows = normed.reshape(2, 16, 8)
    q, k, v = np.split(rows @ qkv[0] + qkv[1], 3, axis=-1)
    logits = q @ k.transpose(0, 2, 1) / np.sqrt(8)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = (weights @ v) @ out[0] + out[1]
    assert_close(layer(X), X + mixed.reshape(X.shape))


def test_a_new_attention_is_the_identity():
    assert np.array_equal(layers.SelfAttention(groups=4)(X), X)


def test_query_key_and_value_are_each_drawn_as_if_alone():
    layer = layers.SelfAttention(groups=4)
    layer.build((None, 4, 4, 64))
    kernel = layer.qkv.kernel.numpy()
    # Uniform with variance 1 / 64.
    for part in np.split(kernel, 3, axis=1):
        assert np.max(np.abs(part)) <= np.sqrt(3 / 64)
        assert part.var() == pytest.approx(1 / 64, rel=0.1)


# Resampling.


def test_downsample_pads_the_bottom_and_the_right_alone():
    layer = layers.Downsample()
    x = np.zeros((1, 4, 4, 1), np.float32)
    layer(x)
    # A kernel that sees its first corner alone picks the even rows and columns.
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 0] = 1
    layer.conv.kernel.assign(kernel)
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    assert layer(x).numpy().ravel().tolist() == [0, 2, 8, 10]
    layer.conv.kernel.assign(kernel[::-1, ::-1])
    assert layer(x).numpy().ravel().tolist() == [10, 0, 0, 0]


def test_upsample_repeats_pixels_before_its_convolution():
    layer = layers.Upsample()
    x = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    layer(x)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    layer.conv.kernel.assign(kernel)
    assert layer(x).numpy()[0, :, :, 0].tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def repeated_then_convolved(layer, x):
    kernel = tf.convert_to_tensor(layer.conv.kernel)
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    return tf.nn.conv2d(large, kernel, 1, "SAME") + layer.conv.bias


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (8, 8), (16, 5)])
def test_upsample_and_its_gradients_are_those_of_repeated_pixels(size, xla):
    layer, rng = layers.Upsample(), np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, *size, 6)), tf.float32)
    layer(x)
    layer.conv.bias.assign(rng.normal(size=6))
    up = tf.constant(rng.normal(size=(3, 2 * size[0], 2 * size[1], 6)), tf.float32)

    @tf.function(jit_compile=xla)
    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        variables = layer.trainable_variables
        return [y, *tape.gradient(y, [x, *variables], output_gradients=up)]

    expected = gradients(lambda x: repeated_then_convolved(layer, x))
    for found, value in zip(gradients(layer), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=2e-5)


def test_upsample_in_two_bytes_rounds_taps_once_more_and_no_worse():
    x = tf.random.stateless_normal([2, 8, 8, 16], [0, 1])
    layer, half = layers.Upsample(), layers.Upsample(dtype="mixed_bfloat16")
    exact = layer(x)
    half(x)
    half.conv.kernel.assign(layer.conv.kernel)
    x, kernel = (tf.cast(v, tf.bfloat16) for v in (x, layer.conv.kernel))
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    other = tf.nn.conv2d(large, kernel, 1, "SAME")
    ours, theirs = (
        tf.reduce_mean((tf.cast(y, tf.float32) - exact) ** 2) for y in (half(x), other)
    )
    # 1.4 to 1.6 times, for sums of taps are rounded too.
    assert ours < 1.8 * theirs


def test_upsample_knows_its_shape_whatever_the_batch():
    layer = layers.Upsample()
    layer.build((None, 8, 8, 4))
    call = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 8, 8, 4]))
    assert call.output_shapes.as_list() == [None, 16, 16, 4]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Downsample(), (None, 2, 2, 8)),
        (layers.Upsample(), (None, 8, 8, 8)),
        (layers.SelfAttention(groups=4), (None, 4, 4, 8)),
        (layers.GroupNormSiLU(groups=4), (None, 4, 4, 8)),
    ],
)
def test_output_shapes_are_known_before_the_call(layer, shape):
    assert layer.compute_output_shape((None, 4, 4, 8)) == shape
    assert layer(X).shape[1:] == shape[1:]
