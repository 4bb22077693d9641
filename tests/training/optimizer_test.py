import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_student.training import optimizer
from tf_student.training.training_config import TrainConfig


def _descend(adam, steps):
    """Minimises |A w - b|^2 and returns w."""
    weights = keras.Variable([1.0, -2.0, 0.5])
    matrix = tf.constant([[2.0, 0.3, 0.0], [0.0, 1.0, -0.5], [0.1, 0.0, 0.7]])
    target = tf.constant([1.0, 2.0, 3.0])
    adam.build([weights])
    for _ in range(steps):
        with tf.GradientTape() as tape:
            error = tf.linalg.matvec(matrix, weights.value) - target
            loss = tf.reduce_sum(error**2)
        adam.apply(tape.gradient(loss, [weights.value]), [weights])
    return weights.numpy()


def test_is_keras_adam():
    options = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4}
    ours = optimizer.ReplicaSummedAdam(0.1, **options)
    keras_own = keras.optimizers.Adam(0.1, **options)
    np.testing.assert_allclose(_descend(ours, 25), _descend(keras_own, 25), rtol=1e-5)


def test_variables_are_those_of_keras_adam():
    weights = [keras.Variable(np.zeros([2, 3])), keras.Variable(np.zeros([4]))]
    schedule = optimizer.WarmupThenDecay(TrainConfig())
    options = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    layouts = []
    for kind in (optimizer.ReplicaSummedAdam, keras.optimizers.Adam):
        adam = kind(schedule, **options)
        adam.build(weights)
        layouts.append([(v.shape, v.dtype) for v in adam.variables])
    assert layouts[0] == layouts[1]
    assert len(layouts[0]) == 5


def test_config_gives_the_same_optimizer():
    adam = optimizer.ReplicaSummedAdam(0.1, beta_1=0.8, beta_2=0.95, epsilon=1e-4)
    copy = optimizer.ReplicaSummedAdam.from_config(adam.get_config())
    np.testing.assert_array_equal(_descend(copy, 3), _descend(adam, 3))


def test_each_replica_assigns_the_loss_scale(strategy):
    with strategy.scope():
        scaled = optimizer.make_optimizer(TrainConfig(), scaled=True)
        scaled.build([keras.Variable([1.0])])
    # Keras keeps its own variables first: iteration, rate, step counter and scale.
    names = [v.name for v in scaled.variables][:4]
    assert names == ["iteration", "learning_rate", "step_counter", "dynamic_scale"]
    strategy.run(lambda: scaled.dynamic_scale.assign(8.0))
    assert float(scaled.dynamic_scale.value.read_value()) == 8.0


def test_first_step_moves_by_the_rate():
    adam = optimizer.make_optimizer(TrainConfig(learning_rate=0.25))
    # The gradients are positive, negative and positive.
    moved = _descend(adam, 1) - [1.0, -2.0, 0.5]
    np.testing.assert_allclose(moved, [-0.25, 0.25, -0.25], rtol=1e-4)


def test_takes_every_value_from_the_config():
    train = TrainConfig(beta_1=0.7, beta_2=0.98, adam_epsilon=1e-5)
    adam = optimizer.make_optimizer(train)
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.7, 0.98, 1e-5)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.002),
        (1, 0.004),
        (4, 0.01),
        (5, 0.01),
        (10, 0.01),
        (16, 0.01),
        (18, 0.005),
        (19, 0.0025),
        (20, 0.0),
        (30, 0.0),
    ],
)
def test_rate_rises_stays_and_falls(step, rate):
    train = TrainConfig(steps=20, learning_rate=0.01, warmup_steps=5, decay_steps=4)
    schedule = optimizer.WarmupThenDecay(train)
    np.testing.assert_allclose(float(schedule(step)), rate, rtol=1e-6)


@pytest.mark.parametrize("step", [0, 10, 20, 100])
def test_rate_is_constant_without_warmup_and_decay(step):
    schedule = optimizer.WarmupThenDecay(TrainConfig(steps=20))
    np.testing.assert_allclose(float(schedule(step)), 2e-4, rtol=1e-6)


def test_paper_schedule_of_cifar10_warms_up_for_5000_steps():
    train = TrainConfig(steps=50_000, warmup_steps=5000)
    schedule = optimizer.WarmupThenDecay(train)
    rates = [float(schedule(step)) for step in (0, 2499, 4999, 49_999)]
    np.testing.assert_allclose(rates, [4e-8, 1e-4, 2e-4, 2e-4], rtol=1e-5)
