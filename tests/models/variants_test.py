"""Options of the network that other libraries' networks need."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tf_student.architecture import plan
from tf_student.models.blocks import ResBlock, SelfAttention
from tf_student.models.layers import GroupNormSiLU, TimestepEmbedding
from tf_student.models.resampling import Downsample
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import to_dict

VARIANTS = [
    {"heads": 2},
    {"head_width": 2},
    {"level_widths": (8, 12)},
    {"up_attention_resolutions": (8,)},
    {"middle_attention": "none"},
    {"middle_attention": "no_norm"},
    {"cosine_first": True, "frequency_shift": 0.0},
    {"symmetric_padding": True},
    {"scale_shift": True},
    {"residual_down_resolutions": (8,), "residual_up_resolutions": (4,)},
    {"classes": 3},
    {"learned_variance": True},
]


def make(**options):
    return randomise(UNet(dataclasses.replace(TINY, **options)))


def inputs(unet):
    x = np.random.default_rng(0).normal(size=(2, *unet.config.image_shape))
    labels = tf.constant([0, 2]) if unet.config.classes else None
    return tf.constant(x, tf.float32), tf.constant([3, 999]), labels


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: ",".join(o))
def test_variables_are_those_of_the_plan(options):
    unet = make(**options)
    named = {k: tuple(v.shape) for k, v in unet.named_variables().items()}
    assert named == plan.variables(unet.config)
    assert sum(map(math.prod, named.values())) == unet.count_params()


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: ",".join(o))
def test_keras_paths_are_those_of_the_plan(options):
    unet = make(**options)
    for path, variable in unet.named_variables().items():
        assert variable.path.replace("/", ".") == path


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: ",".join(o))
def test_keras_saves_and_loads_it(options, tmp_path):
    unet = make(**options)
    unet.save(tmp_path / "unet.keras")
    loaded = keras.models.load_model(tmp_path / "unet.keras")
    assert loaded.config == unet.config
    x, t, labels = inputs(unet)
    np.testing.assert_array_equal(loaded(x, t, labels), unet(x, t, labels))


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: ",".join(o))
def test_each_option_changes_the_output_or_its_inputs(options):
    unet = make(**options)
    x, t, labels = inputs(unet)
    y = unet(x, t, labels)
    assert y.shape == x.shape
    if not unet.config.classes:
        plain = UNet(TINY)
        same = [w.shape for w in plain.weights] == [w.shape for w in unet.weights]
        if same:
            plain.set_weights(unet.get_weights())
            assert not np.allclose(plain(x, t), y)


def test_options_with_their_defaults_do_not_change_a_fingerprint():
    assert "heads" not in to_dict(TINY)
    assert to_dict(dataclasses.replace(TINY, heads=2))["heads"] == 2
    unet = UNet(TINY)
    other = UNet(dataclasses.replace(TINY, cosine_first=True))
    other.set_weights(unet.get_weights())
    assert unet.fingerprint() != other.fingerprint()


def test_further_options_are_keywords_too():
    options = {"heads": 2, "scale_shift": True, "name": "a"}
    unet = UNet(image_size=8, base_width=8, groups=4, width_multipliers=[1], **options)
    assert (unet.config.heads, unet.config.scale_shift, unet.name) == (2, True, "a")


def test_labels_select_an_embedding():
    unet = make(classes=3)
    x, t, _ = inputs(unet)
    by_label = [unet(x, t, tf.constant([label, label])).numpy() for label in range(3)]
    mixed = unet(x, t, tf.constant([2, 0])).numpy()
    np.testing.assert_allclose(mixed[0], by_label[2][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mixed[1], by_label[0][1], rtol=1e-5, atol=1e-5)
    assert not np.allclose(by_label[0], by_label[1])


@pytest.mark.parametrize(("classes", "given"), [(3, False), (0, True)])
def test_labels_are_given_if_there_are_classes(classes, given):
    unet = UNet(dataclasses.replace(TINY, classes=classes))
    x, t, _ = inputs(unet)
    with pytest.raises(ValueError, match="`labels` must"):
        unet(x, t, tf.constant([0, 1]) if given else None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "`heads` must divide the channels of attention"),
        ({"head_width": 5}, "`head_width` must divide the channels of attention"),
        ({"middle_attention": "some"}, "`middle_attention` must be one of: norm"),
        ({"frequency_shift": 9.0}, "`frequency_shift` must be below base_width / 2"),
        ({"level_widths": (8, 9)}, "`groups` must divide the channels"),
        ({"classes": -1}, "`classes` must be at least 0"),
        ({"label_dropout": 0.1}, "`label_dropout` must be 0 without classes"),
        ({"classes": 3, "label_dropout": 1.0}, "`label_dropout` must be below 1"),
    ],
)
def test_options_that_contradict_are_an_error(options, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(TINY, **options)


def test_scale_and_shift_follow_the_normalization():
    layer = GroupNormSiLU(2, activation="none")
    layer.build((None, 4, 4, 8))
    x = tf.random.stateless_normal([2, 4, 4, 8], [0, 1])
    scale, shift = (tf.random.stateless_normal([2, 8], [1, i]) for i in (0, 1))
    expected = layer(x) * (1 + scale[:, None, None]) + shift[:, None, None]
    actual = layer(x, scale_shift=tf.concat([scale, shift], -1))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("resample", ["down", "up"])
def test_a_residual_block_changes_the_resolution(resample):
    block = ResBlock(8, groups=4, resample=resample)
    block.build((None, 4, 4, 8), (None, 16))
    x, temb = tf.random.stateless_normal([2, 4, 4, 8], [0, 1]), tf.zeros([2, 16])
    # The last convolution is zero at first, so the block is its shortcut.
    y = block(x, temb).numpy()
    assert y.shape == block.compute_output_shape((2, 4, 4, 8))
    if resample == "down":
        np.testing.assert_allclose(y[0, 0, 0], np.mean(x[0, :2, :2], (0, 1)), rtol=1e-5)
    else:
        np.testing.assert_array_equal(y[:, 1::2, ::2], x)


def test_each_head_attends_with_its_own_channels():
    layer = SelfAttention(groups=2, heads=2, normalized=False)
    layer.build((None, 2, 2, 4))
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 12)).astype(np.float32)
    layer.qkv.kernel.assign(kernel)
    layer.out.kernel.assign(np.eye(4))
    x = rng.normal(size=(1, 2, 2, 4)).astype(np.float32)
    rows = x.reshape(4, 4)
    expected = []
    for head in range(2):
        columns = slice(2 * head, 2 * head + 2)
        q, k, v = (rows @ kernel[:, 4 * i : 4 * i + 4][:, columns] for i in range(3))
        weights = tf.nn.softmax(q @ k.T / np.sqrt(2)).numpy()
        expected.append(weights @ v)
    actual = layer(x).numpy().reshape(4, 4) - rows
    np.testing.assert_allclose(actual, np.concatenate(expected, 1), atol=1e-5)


def test_cosines_come_first_with_any_shift():
    layer = TimestepEmbedding(4, cosine_first=True, frequency_shift=0.0)
    layer.build((None,))
    layer.dense_0 = layer.dense_1 = lambda values: values
    actual = layer(tf.constant([3]))
    angles = 3 * np.array([1.0, 10000**-0.5])
    np.testing.assert_allclose(
        actual, [[*np.cos(angles), *np.sin(angles)]], rtol=1e-5, atol=1e-6
    )


def test_symmetric_padding_is_that_of_a_strided_convolution():
    layer = Downsample(symmetric=True)
    layer.build((None, 4, 4, 2))
    x = tf.random.stateless_normal([1, 4, 4, 2], [0, 1])
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    expected = tf.nn.conv2d(padded, layer.conv.kernel.value, 2, "VALID")
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
