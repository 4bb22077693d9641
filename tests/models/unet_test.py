import dataclasses
import inspect
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tests.tolerances import assert_close
from tf_student.architecture import plan
from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.blocks import ResBlock, SelfAttention
from tf_student.models.unet import UNet
from tf_student.presets import systems
from tf_student.runtime import devices

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 8, 8, 3)).astype(np.float32)
T = np.array([0, 5, 999], np.int32)


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


@pytest.mark.parametrize(
    ("name", "parameters", "attentions"),
    [
        # One in the middle, and one a block at 16x16: two down and three up.
        ("cifar10", 35_746_307, 6),
        ("celeba64", 78_700_803, 6),
        ("lsun_bedroom", 113_673_219, 6),
    ],
)
def test_the_papers_networks(name, parameters, attentions):
    model = UNet(systems.get_preset(name).unet)
    assert model.count_params() == parameters
    stages = [*model.down, model.middle, *model.up]
    layers = [layer for stage in stages for layer in stage]
    assert sum(isinstance(layer, SelfAttention) for layer in layers) == attentions


def test_both_lsun_networks_are_one():
    assert systems.LSUN_BEDROOM.unet == systems.LSUN_CHURCH.unet


def test_a_network_of_one_block_is_counted_by_hand():
    config = dataclasses.replace(TINY, width_multipliers=(1,))

    # Channels 8, of the embedding 32, of the image 3.
    def dense(i, o):
        return i * o + o

    def block(i):
        shortcut = 0 if i == 8 else dense(i, 8)
        convs = dense(9 * i, 8) + dense(9 * 8, 8)
        return 2 * i + convs + dense(32, 8) + 2 * 8 + shortcut

    attention = 2 * 8 + dense(8, 24) + dense(8, 8)
    expected = dense(8, 32) + dense(32, 32) + dense(27, 8) + block(8)
    expected += 2 * block(8) + attention + 2 * block(16) + 2 * 8 + dense(72, 3)
    assert UNet(config).count_params() == expected


def test_a_new_network_predicts_nothing():
    assert np.array_equal(UNet(TINY)(X, T), np.zeros_like(X))


def test_output_is_float32_like_the_image(unet):
    eps = unet(X, T)
    assert (eps.shape, eps.dtype) == (X.shape, tf.float32)
    assert np.std(eps) > 0.1


def test_an_example_does_not_depend_on_its_batch(unet):
    apart = [unet(X[i : i + 1], T[i : i + 1])[0] for i in range(3)]
    assert_close(unet(X, T), np.stack(apart))


def test_the_time_step_matters(unet):
    eps = unet(np.stack([X[0]] * 3), T).numpy()
    assert np.max(np.abs(eps[0] - eps[1])) > 0.01
    assert np.max(np.abs(eps[1] - eps[2])) > 0.01


def test_every_weight_has_a_gradient(unet):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(unet(X, T)))
    for gradient in tape.gradient(loss, unet.trainable_variables):
        assert np.any(gradient.numpy() != 0)


def test_a_graph_takes_batches_of_any_size(unet):
    image = tf.TensorSpec([None, 8, 8, 3], tf.float32)
    step = tf.TensorSpec([None], tf.int32)
    graph = tf.function(unet.__call__, input_signature=[image, step])
    assert_close(graph(X, T), unet(X, T))
    assert_close(graph(X[:1], T[:1]), unet(X[:1], T[:1]))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_images_may_have_any_number_of_channels(channels):
    model = randomise(UNet(dataclasses.replace(TINY, channels=channels)))
    x = np.ones((2, 8, 8, channels), np.float32)
    assert model(x, T[:2]).shape == (2, 8, 8, channels)


def test_an_image_of_other_channels_is_refused(unet):
    with pytest.raises(ValueError, match=r"expected axis -1.*value 3"):
        unet(X[..., :1], T)


def test_attention_is_where_the_resolution_asks_for_it():
    def attends(**kwargs):
        model = UNet(dataclasses.replace(TINY, **kwargs))
        return [
            any(isinstance(layer, SelfAttention) for layer in stage)
            for stage in model.down + model.up
        ]

    # Down: block at 8, halving, block at 4; up: two at 4, doubling, two at 8.
    assert attends(attention_resolutions=()) == [False] * 8
    assert attends(attention_resolutions=(8,)) == [
        *(True, False, False),
        *(False, False, False, True, True),
    ]
    assert attends(attention_resolutions=(4,)) == [
        *(False, False, True),
        *(True, True, False, False, False),
    ]


def test_every_way_up_meets_its_skip():
    config = dataclasses.replace(TINY, width_multipliers=(1, 2, 4), blocks_per_level=2)
    model = UNet(config)
    blocks = [stage[0] for stage in model.up if isinstance(stage[0], ResBlock)]
    # Width coming up plus width of the skip, the last of the way down first.
    assert [block.norm_0.gamma.shape[0] for block in blocks] == [
        *(32 + 32, 32 + 32, 32 + 16),
        *(32 + 16, 16 + 16, 16 + 8),
        *(16 + 8, 8 + 8, 8 + 8),
    ]


@pytest.fixture(scope="module")
def dropping():
    return randomise(UNet(dataclasses.replace(TINY, dropout=0.5)))


def test_dropout_is_a_function_of_its_seed(dropping):
    one = dropping(X, T, training=True, seed=tf.constant([1, 2]))
    same = dropping(X, T, training=True, seed=tf.constant([1, 2]))
    other = dropping(X, T, training=True, seed=tf.constant([2, 2]))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_dropout_rests_outside_training(dropping, unet):
    assert_close(dropping(X, T), unet(X, T))


def test_every_block_drops_by_a_seed_of_its_own(dropping):
    seeds = []

    def dropout(x, rate, seed, **kwargs):
        assert rate == 0.5
        seeds.append(tuple(seed.numpy().tolist()))
        return x

    with mock.patch("tensorflow.nn.experimental.stateless_dropout", dropout):
        dropping(X, T, training=True, seed=tf.constant([1, 2]))
    # Two down, two in the middle, four up.
    assert len(set(seeds)) == len(seeds) == 8


def test_get_config_holds_the_architecture(unet):
    copy = UNet.from_config(unet.get_config())
    assert copy.config == TINY
    copy.set_weights(unet.get_weights())
    assert_close(copy(X, T), unet(X, T))


def options(config):
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}


def test_options_and_a_config_describe_the_same_network():
    assert UNet(**options(TINY)).config == TINY
    lists = {"width_multipliers": [1, 2], "attention_resolutions": [4]}
    assert UNet(**(options(TINY) | lists)).config == TINY


def test_the_options_and_their_defaults_are_those_of_the_config():
    parameters = inspect.signature(UNet).parameters
    fields = dataclasses.fields(UNetConfig)
    listed = {f.name: f.default for f in fields if not f.metadata["added"]}
    assert {name: parameters[name].default for name in listed} == listed
    assert list(parameters) == ["config", *listed, "recompute", "kwargs"]


@pytest.mark.parametrize("option", [{"channels": 1}, {"dropout": 0.5}])
def test_a_config_beside_options_is_refused(option):
    with pytest.raises(ValueError, match="`config` must not be combined with options"):
        UNet(TINY, **option)


def test_options_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="`groups` must divide the channels"):
        UNet(base_width=8, groups=3)


@pytest.mark.parametrize("seed", [None, [1, 2]])
def test_recompute_changes_memory_and_not_the_gradients(dropping, seed):
    model = dropping if seed else randomise(UNet(TINY))
    recomputing = model.copy(recompute=True)
    assert (model.recompute, recomputing.recompute) == (False, True)

    @tf.function
    def gradients(network):
        with tf.GradientTape() as tape:
            eps = network(X, T, training=True, seed=seed and tf.constant(seed))
            loss = tf.reduce_sum(tf.square(eps))
        return [eps, *tape.gradient(loss, network.trainable_variables)]

    for actual, expected in zip(gradients(recomputing), gradients(model), strict=True):
        assert_close(actual, expected)


def test_recompute_stores_only_the_inputs_of_blocks(unet):
    with mock.patch("tensorflow.recompute_grad", wraps=tf.recompute_grad) as wrapped:
        unet(X, T, training=True)
        unet.copy(recompute=True)(X, T, training=False)
        assert wrapped.call_count == 0
        unet.copy(recompute=True)(X, T, training=True)
    assert wrapped.call_count == len(list(plan.blocks(TINY)))


def test_recompute_is_not_saved(unet):
    copy = UNet.from_config(unet.copy(recompute=True).get_config())
    assert not copy.recompute


def test_a_copy_has_the_weights_and_not_the_variables(unet):
    copy = unet.copy()
    assert copy.config == TINY
    assert np.array_equal(copy(X, T), unet(X, T))
    assert not {id(w) for w in copy.weights} & {id(w) for w in unet.weights}
    copy.stem.bias.assign_add(tf.ones(8))
    assert not np.array_equal(copy.stem.bias, unet.stem.bias)


def test_a_copy_has_the_policy_of_its_network_or_another(unet):
    assert unet.copy().dtype_policy.name == "float32"
    copy = unet.copy(dtype="mixed_bfloat16")
    assert copy.stem.compute_dtype == "bfloat16"
    assert copy.copy().stem.compute_dtype == "bfloat16"
    assert {weight.dtype for weight in copy.weights} == {"float32"}


def test_a_copy_lies_on_the_devices_of_the_scope(unet):
    strategy = devices.make_strategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        copy = unet.copy()
    local = strategy.experimental_local_results(copy.stem.bias.value)
    assert [value.device[-5:] for value in local] == ["CPU:0", "CPU:1"]


def test_named_variables_are_all_variables_each_once(unet):
    variables = unet.named_variables()
    assert {name: v.shape for name, v in variables.items()} == plan.variables(TINY)
    assert {id(v) for v in variables.values()} == {id(v) for v in unet.variables}
    assert len(variables) == len(unet.variables)
    assert variables["stem.kernel"] is unet.stem.kernel
    assert variables["middle.1.qkv.bias"] is unet.middle[1].qkv.bias
    assert all(isinstance(v, keras.Variable) for v in variables.values())


def test_equal_networks_have_one_fingerprint(unet):
    assert unet.copy(dtype="mixed_bfloat16").fingerprint() == unet.fingerprint()
    assert len(unet.fingerprint()) == 64


def test_one_changed_weight_changes_the_fingerprint(unet):
    copy = unet.copy()
    before = copy.fingerprint()
    copy.head.bias.assign(np.nextafter(copy.head.bias.numpy(), np.float32(9)))
    assert before == unet.fingerprint()
    assert copy.fingerprint() != before


def test_another_epsilon_changes_the_fingerprint(unet):
    # It is not a weight, but it changes the images.
    other = UNet(dataclasses.replace(TINY, norm_epsilon=1e-3))
    other.set_weights(unet.get_weights())
    assert other.fingerprint() != unet.fingerprint()
