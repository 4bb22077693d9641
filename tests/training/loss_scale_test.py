"""float16: gradients are scaled, and steps whose gradients overflow are skipped."""

import keras
import numpy as np
import tensorflow as tf

from tf_student.training import phases, step
from tf_student.training.batches import distribute
from tf_student.training.training_config import TrainConfig


class Half(keras.Model):
    """One weight and a bias, in float16."""

    def __init__(self):
        super().__init__(dtype="mixed_float16")
        self.dense = keras.layers.Dense(1, dtype="mixed_float16")
        self.dense.build((None, 1))
        self.built = True

    def call(self, x):
        return self.dense(x)


def _half(faults):
    """Returns a float16 network, and a loss with an infinite slope at positions."""

    def loss(model, batch, seed):
        position, x = batch
        error = tf.cast(model(x), tf.float32)[:, 0] - 2.0 * x[:, 0]
        # At zero the root is finite and its slope is not.
        fault = tf.reduce_any([tf.equal(position, fault) for fault in faults], axis=0)
        inside = tf.where(fault, error - tf.stop_gradient(error), 1.0)
        # Small enough for float16 to hold 2^15 times its gradients.
        return 1e-3 * (tf.square(error) + tf.sqrt(inside))

    return Half, loss


def _step(strategy, train_state, loss, config):
    single = phases.single(train_state, loss, config.clip_norm)
    return step.make_train_step(strategy, train_state, single, config=config, xla=False)


def test_float16_skips_and_counts_gradients_that_are_not_finite(
    toy_task, make_toy_state, strategy
):
    make, loss = _half([5])
    config = TrainConfig(batch_size=4, steps=3, clip_norm=1.0)
    train_state = make_toy_state(strategy, config, make)
    train_step = _step(strategy, train_state, loss, config)
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    weights, scales = [], []
    for _ in range(3):
        train_step(next(batches), tf.constant(0.0))
        weights.append(float(train_state.model.trainable_variables[0].numpy()[0, 0]))
        scales.append(train_state.loss_scale)
    # Position 5 is in the second batch of four.
    assert weights[0] == weights[1] != weights[2]
    assert scales == [2.0**15, 2.0**14, 2.0**14]
    assert int(train_state.skipped.numpy()) == 1
    assert int(train_state.step.numpy()) == 3
    assert int(train_state.optimizer.iterations.numpy()) == 2
    for variable in train_state.model.trainable_variables:
        assert variable.dtype == "float32"


def test_float16_measures_gradients_by_their_own_scale(
    toy_task, make_toy_state, one_replica
):
    make, loss = _half([-1])
    config = TrainConfig(batch_size=4, steps=2)
    norms = []
    for before_growth in (False, True):
        train_state = make_toy_state(one_replica, config, make)
        train_state.model.set_weights([np.array([[0.5]]), np.array([0.25])])
        train_step = _step(one_replica, train_state, loss, config)
        optimizer = train_state.optimizer
        if before_growth:
            optimizer.step_counter.assign(optimizer.dynamic_growth_steps - 1)
        batch = next(iter(distribute(one_replica, toy_task().examples_from_0, 4)))
        values = train_step(batch, tf.constant(0.0)).values
        norms.append(float(values["gradient_norm"]))
    assert train_state.loss_scale == 2.0**16
    assert norms[0] == norms[1] > 0


def test_float16_clips_the_unscaled_gradients(toy_task, make_toy_state, one_replica):
    make, loss = _half([-1])
    config = TrainConfig(batch_size=4, steps=3, clip_norm=1e-3)
    train_state = make_toy_state(one_replica, config, make)
    train_step = _step(one_replica, train_state, loss, config)
    batches = iter(distribute(one_replica, toy_task().examples_from_0, 4))
    norm = float(train_step(next(batches), tf.constant(0.0)).values["gradient_norm"])
    moments = train_state.optimizer.inner_optimizer.first_moments
    clipped = np.sqrt(sum(np.sum(np.square(m.numpy())) for m in moments)) / 0.1
    assert 2e-3 < norm < 1
    np.testing.assert_allclose(clipped, 1e-3, rtol=1e-2)
