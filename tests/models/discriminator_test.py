import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY
from tf_student.models.discriminator import Discriminator
from tf_student.models.unet import UNet


@pytest.fixture(scope="module")
def unet():
    return UNet(TINY)


def _inputs(count=3):
    x = tf.random.stateless_normal([count, *TINY.image_shape], [1, 2])
    return x, tf.range(count)


def test_features_have_the_size_and_the_width_of_each_level(unet):
    features = unet.encode(*_inputs())
    expected = [
        (3, TINY.image_size // 2**level, TINY.image_size // 2**level, width)
        for level, width in enumerate(TINY.widths)
    ]
    assert [tuple(f.shape) for f in features] == expected


def test_the_prediction_is_the_same_with_its_features(unet):
    eps, features = unet.with_features(*_inputs())
    np.testing.assert_array_equal(eps, unet(*_inputs()))
    for feature, alone in zip(features, unet.encode(*_inputs()), strict=True):
        np.testing.assert_array_equal(feature, alone)


def test_each_image_gets_a_logit_from_every_level(unet):
    discriminator = Discriminator(TINY)
    with tf.GradientTape() as tape:
        logits = discriminator(unet.encode(*_inputs()))
        loss = tf.reduce_sum(logits)
    assert logits.shape == (3,) and logits.dtype == tf.float32
    gradients = tape.gradient(loss, discriminator.trainable_variables)
    assert len(gradients) == 6 * len(TINY.widths)
    assert all(np.any(g.numpy()) for g in gradients)


def test_weights_are_float32_in_half_precision():
    discriminator = Discriminator(TINY, dtype="mixed_bfloat16")
    assert {v.dtype for v in discriminator.trainable_variables} == {"float32"}
    features = UNet(TINY, dtype="mixed_bfloat16").encode(*_inputs())
    assert discriminator(features).dtype == tf.float32
