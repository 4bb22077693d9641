import numpy as np
import pytest
import tensorflow as tf

from tests.models.references import conv, group_norm, silu
from tests.networks import randomise
from tests.tolerances import assert_close
from tf_student.models import blocks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)
TEMB = RNG.normal(size=(2, 16)).astype(np.float32)


@pytest.mark.parametrize("filters", [8, 16])
def test_res_block_by_definition(filters):
    block = blocks.ResBlock(filters, groups=4)
    block(X, TEMB)
    randomise(block)

    def norm(layer, x):
        return silu(group_norm(x, 4) * layer.gamma.numpy() + layer.beta.numpy())

    def weights(layer):
        return [weight.numpy() for weight in layer.weights]

    kernel, bias = weights(block.time)
    h = conv(norm(block.norm_0, X), *weights(block.conv_0))
    h = h + (TEMB @ kernel + bias)[:, None, None, :]
    h = conv(norm(block.norm_1, h), *weights(block.conv_1))
    shortcut = X if filters == 8 else conv(X, *weights(block.shortcut))
    assert_close(block(X, TEMB), shortcut + h)


def test_a_new_res_block_of_one_width_is_the_identity():
    assert np.array_equal(blocks.ResBlock(8, groups=4)(X, TEMB), X)


@pytest.fixture
def dropping():
    block = blocks.ResBlock(8, groups=4, dropout=0.5)
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
    block = blocks.ResBlock(8, groups=4, dropout=0.0)
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


def test_attention_by_definition():
    layer = blocks.SelfAttention(groups=4)
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
    assert np.array_equal(blocks.SelfAttention(groups=4)(X), X)


def test_query_key_and_value_each_have_the_variance_of_a_kernel_of_their_own():
    layer = blocks.SelfAttention(groups=4)
    layer.build((None, 4, 4, 64))
    kernel = layer.qkv.kernel.numpy()
    # Uniform with variance 1 / 64.
    for part in np.split(kernel, 3, axis=1):
        assert np.max(np.abs(part)) <= np.sqrt(3 / 64)
        assert part.var() == pytest.approx(1 / 64, rel=0.1)


def test_output_shapes_are_known_before_the_call():
    attention, block = blocks.SelfAttention(groups=4), blocks.ResBlock(12, groups=4)
    assert attention.compute_output_shape((None, 4, 4, 8)) == (None, 4, 4, 8)
    assert attention(X).shape == X.shape
    shape = block.compute_output_shape((None, 4, 4, 8), (None, 16))
    assert shape == (None, 4, 4, 12)
    assert block(X, TEMB).shape == (2, 4, 4, 12)
