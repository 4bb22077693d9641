import dataclasses
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_student.training import phases, step
from tf_student.training.batches import distribute
from tf_student.training.training_config import TrainConfig


def _two_phases(make_toy_state, strategy, config):
    """A student that doubles x, and a helper that follows the student's output."""
    train_state = make_toy_state(
        strategy, config, helpers={"follower": (_weight(0.25), config)}
    )
    follower = train_state.helpers["follower"]

    def student_loss(batch, carried, seed):
        y = train_state.model(batch[1])
        metrics = {"size": tf.abs(y[:, 0])}
        return phases.PhaseLoss(tf.square(y - 2.0 * batch[1])[:, 0], metrics, {"y": y})

    def follower_loss(batch, carried, seed):
        error = follower.network(batch[1]) - tf.stop_gradient(carried["y"])
        return phases.PhaseLoss(tf.square(error)[:, 0])

    return train_state, [
        phases.Phase(train_state.learner, student_loss),
        phases.Phase(follower, follower_loss, name="follower"),
    ]


def _weight(value):
    def make():
        model = keras.Sequential(
            [keras.Input([1]), keras.layers.Dense(1, use_bias=False)]
        )
        model.layers[0].kernel.assign([[value]])
        return model

    return make


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("xla", [False, True])
def test_later_phases_get_what_earlier_ones_carry(
    toy_task, make_toy_state, strategy, parts, xla
):
    config = TrainConfig(batch_size=4, steps=3, learning_rate=0.01, adam_epsilon=10.0)
    train_state, both = _two_phases(make_toy_state, strategy, config)
    train_step = step.make_train_step(
        strategy, train_state, both, config=config, xla=xla, parts=parts
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    values = train_step(next(batches), tf.constant(0.0)).values
    # x is 0, 1, 2, 3; the student's weight starts at 0.5, the follower's at 0.25.
    square = (0 + 1 + 4 + 9) / 4
    expected = {
        "loss": 1.5**2 * square,
        "size": 0.5 * 6 / 4,
        "gradient_norm": 2 * 1.5 * square,
        "follower_loss": 0.25**2 * square,
        "follower_gradient_norm": 2 * 0.25 * square,
    }
    assert {k: float(v) for k, v in values.items()} == pytest.approx(expected)
    moment = train_state.helpers["follower"].optimizer.first_moments[0].numpy()
    np.testing.assert_allclose(moment, [[0.1 * 2 * -0.25 * square]], rtol=1e-5)


def test_a_phase_starts_when_the_gradients_before_it_are_known(
    toy_task, make_toy_state, strategy
):
    """Or the activations of both would be in memory at once."""
    config = TrainConfig(batch_size=4, steps=3, learning_rate=0.01)
    train_state, (first, second) = _two_phases(make_toy_state, strategy, config)
    events = []

    def note(x, name, seconds):
        def record(value):
            time.sleep(seconds)
            events.append(name)
            return value

        # Stateless, so that only data and control dependencies order the calls.
        y = tf.numpy_function(record, [x], x.dtype, stateful=False)
        return tf.ensure_shape(y, x.shape)

    @tf.custom_gradient
    def slow_backward(losses):
        def backward(gradient):
            # It must depend on the forward pass: a constant would be folded.
            return note(tf.where(losses < 1e9, gradient, 0.0), "backward", 0.3)

        return tf.identity(losses), backward

    def first_loss(batch, carried, seed):
        found = first.loss(batch, carried, seed)
        return found._replace(losses=slow_backward(found.losses))

    def second_loss(batch, carried, seed):
        y = note(carried["y"], "next phase", 0.0)
        return second.loss(batch, {"y": y}, seed)

    train_step = step.make_train_step(
        strategy,
        train_state,
        [
            dataclasses.replace(first, loss=first_loss),
            dataclasses.replace(second, loss=second_loss),
        ],
        config=config,
        xla=False,
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    train_step(next(batches), tf.constant(0.0))
    replicas = strategy.num_replicas_in_sync
    assert events == ["backward"] * replicas + ["next phase"] * replicas


def test_each_phase_clips_its_own_gradients(toy_task, make_toy_state, strategy):
    config = TrainConfig(batch_size=4, steps=3, learning_rate=0.01)
    train_state, (first, second) = _two_phases(make_toy_state, strategy, config)
    second = dataclasses.replace(second, clip_norm=0.01)
    train_step = step.make_train_step(
        strategy, train_state, [first, second], config=config, xla=False
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    train_step(next(batches), tf.constant(0.0))
    moments = [
        float(optimizer.first_moments[0].numpy()[0, 0])
        for _, optimizer in (first.learner, second.learner)
    ]
    # The gradients of the batch 0, 1, 2, 3, times 1 - beta_1.
    assert moments == pytest.approx([0.1 * -3 * 3.5, 0.1 * -0.01])
