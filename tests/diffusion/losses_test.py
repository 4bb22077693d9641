import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.diffusion import losses
from tf_student.training.training_config import DistillConfig

RNG = np.random.default_rng(0)
IMAGES, NOISE = RNG.normal(size=(2, 3, 2, 2, 1)).astype(np.float32)
T = np.array([0, 2, 1], np.int32)
BARS = np.array([0.9, 0.5, 0.1])


def noise_loss(eps_fn):
    return losses.noise_loss(eps_fn, IMAGES, NOISE, T, alpha_bars=BARS)


def test_the_loss_of_a_perfect_prediction_is_zero():
    assert noise_loss(lambda x, t: tf.constant(NOISE)).numpy().tolist() == [0, 0, 0]


def test_noise_loss_is_the_mean_square_over_pixels():
    expected = np.mean(np.square(NOISE.astype(np.float64)), axis=(1, 2, 3))
    assert_close(noise_loss(lambda x, t: tf.zeros_like(x)), expected)


def test_the_network_sees_noised_images_and_their_steps():
    seen = {}

    def eps_fn(x, t):
        seen.update(x=x.numpy(), t=t)
        return x

    noise_loss(eps_fn)
    a = BARS[T][:, None, None, None]
    assert_close(seen["x"], np.sqrt(a) * IMAGES + np.sqrt(1 - a) * NOISE)
    assert np.array_equal(seen["t"], T)


def test_noise_loss_of_a_float16_network_is_float32():
    loss = noise_loss(lambda x, t: tf.zeros_like(x, tf.float16))
    assert loss.dtype == tf.float32


TARGETS = tf.constant([[[[1.0], [-2.0]]], [[[0.0], [3.0]]]])
IMAGES_OF_STUDENT = tf.constant([[[[0.5], [1.0]]], [[[0.0], [2.0]]]])


def test_l1_is_summed_over_pixels():
    loss = losses.distillation_loss(TARGETS, IMAGES_OF_STUDENT, distance="l1")
    assert loss.numpy().tolist() == [3.5, 1.0]


def test_l2_is_the_squared_error_summed_over_pixels():
    loss = losses.distillation_loss(TARGETS, IMAGES_OF_STUDENT, distance="l2")
    assert loss.numpy().tolist() == [9.25, 1.0]


def test_l1_is_the_absolute_error_summed_over_pixels():
    loss = losses.distillation_loss(TARGETS, IMAGES_OF_STUDENT, distance="l1")
    assert loss.numpy().tolist() == [3.5, 1.0]


def test_the_default_distance_is_that_of_the_command():
    loss = losses.distillation_loss(TARGETS, IMAGES_OF_STUDENT)
    assert DistillConfig().distance == "l2"
    assert loss.numpy().tolist() == [9.25, 1.0]


def test_an_unknown_distance_is_an_error():
    with pytest.raises(ValueError) as error:
        losses.distillation_loss(TARGETS, IMAGES_OF_STUDENT, distance="l3")
    assert str(error.value) == "`distance` must be l1 or l2. Received: distance='l3'."


@pytest.mark.parametrize(("distance", "sign"), [("l1", 1.0), ("l2", 4.0)])
def test_the_gradient_moves_images_towards_the_targets(distance, sign):
    images = tf.Variable(tf.fill([1, 1, 2, 1], 2.0))
    with tf.GradientTape() as tape:
        loss = losses.distillation_loss(
            tf.zeros_like(images), images, distance=distance
        )
    assert tape.gradient(loss, images).numpy().ravel().tolist() == [sign, sign]


def test_keras_takes_the_distance_as_a_loss():
    model = keras.Sequential([keras.Input([1, 2, 1]), keras.layers.Identity()])
    model.compile(loss=losses.distillation_loss)
    measured = model.evaluate(IMAGES_OF_STUDENT, TARGETS, verbose=0)
    assert measured == pytest.approx((9.25 + 1.0) / 2)


def test_parts_of_a_batch_add_up_to_its_mean():
    per_example = tf.constant([1.0, 2.0, 3.0, 6.0])
    parts = [losses.global_mean(part, 4) for part in tf.split(per_example, 2)]
    assert float(parts[0] + parts[1]) == 3.0
    assert float(losses.global_mean(per_example, 4)) == 3.0
