import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_student import config, schedules
from tf_student.losses import noise_loss
from tf_student.training import distribute, state, step
from tf_student.unet import UNet

_UNET = config.UNetConfig(
    image_size=8,
    channels=1,
    base_width=4,
    width_multipliers=(1,),
    blocks_per_level=1,
    attention_resolutions=(),
    groups=2,
    dropout=0.0,
)
# A large epsilon: Adam's first step is otherwise the gradient's sign, noise and all.
_TRAIN = config.TrainConfig(
    batch_size=8,
    steps=10,
    learning_rate=0.01,
    adam_epsilon=1e-3,
    clip_norm=0.05,
    ema_decay=0.75,
)
_ALPHA_BARS = schedules.alpha_bars(config.DiffusionConfig())


def _examples():
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, [8, 8, 8, 1]).astype(np.float32)
    noise = rng.normal(size=[8, 8, 8, 1]).astype(np.float32)
    t = rng.integers(0, 1000, 8).astype(np.int32)
    return images, noise, t


def _loss(model, batch, seed):
    images, noise, t = batch
    return noise_loss(
        lambda x, t: model(x, t, training=True, seed=seed),
        images,
        noise,
        t,
        alpha_bars=_ALPHA_BARS,
    )


def _make_model():
    keras.utils.set_random_seed(0)
    model = UNet(_UNET)
    # The network's last convolution starts at zero, where most gradients are zero.
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(weight.numpy() + 0.05 * rng.normal(size=weight.shape))
    return model


def _numpy(variables):
    return [v.numpy() for v in variables]


@pytest.fixture(scope="module")
def reference():
    """Loss, gradients and their norm of the whole batch at once."""
    model = _make_model()
    with tf.GradientTape() as tape:
        value = tf.reduce_mean(_loss(model, _examples(), tf.constant([0, 0])))
    gradients = tape.gradient(value, model.trainable_variables)
    norm = np.sqrt(sum(np.sum(np.square(g.numpy(), dtype="f8")) for g in gradients))
    return float(value), [g.numpy() for g in gradients], norm


@pytest.fixture(scope="module", params=[(1, False), (1, True), (2, False), (2, True)])
def stepped(request):
    """A state after its first step on that batch, and what the step returned."""
    replicas, xla = request.param
    strategy = distribute.make_strategy([f"CPU:{i}" for i in range(replicas)])
    train_state = state.TrainState(strategy, _make_model, _TRAIN)
    before = _numpy(train_state.model.trainable_variables)
    train_step = step.make_train_step(
        strategy, train_state, _loss, config=_TRAIN, xla=xla
    )
    batches = distribute.distribute(
        strategy, lambda: tf.data.Dataset.from_tensor_slices(_examples()).repeat(), 8
    )
    outcome = train_step(next(iter(batches)))
    return train_state, before, outcome


def test_loss_is_the_mean_over_the_global_batch(stepped, reference):
    np.testing.assert_allclose(float(stepped[2][0]), reference[0], rtol=1e-5)


def test_norm_is_of_the_summed_gradients_before_clipping(stepped, reference):
    assert reference[2] > 0.05
    np.testing.assert_allclose(float(stepped[2][1]), reference[2], rtol=1e-4)


def test_optimizer_gets_the_clipped_gradients_of_the_global_batch(stepped, reference):
    _, gradients, norm = reference
    moments = _numpy(stepped[0].optimizer._momentums)
    for moment, gradient in zip(moments, gradients, strict=True):
        # Adam's first moment after one step is (1 - 0.9) times the gradient.
        np.testing.assert_allclose(moment, 0.1 * gradient * 0.05 / norm, atol=1e-7)


def test_weights_move_as_by_keras_adam_on_the_whole_batch(stepped, reference):
    _, gradients, norm = reference
    weights = _numpy(stepped[0].model.trainable_variables)
    for after, before, gradient in zip(weights, stepped[1], gradients, strict=True):
        clipped = gradient * 0.05 / norm
        # With both moments corrected, the first step is g / (|g| + epsilon / sqrt(..)).
        scale = np.sqrt(1 - 0.999)
        expected = before - 0.01 * clipped * scale / (np.abs(clipped) * scale + 1e-3)
        np.testing.assert_allclose(after, expected, atol=2e-6)


def test_averages_move_by_a_quarter_of_the_way(stepped):
    train_state, before, _ = stepped
    averages = _numpy(train_state.ema.trainable_variables)
    weights = _numpy(train_state.model.trainable_variables)
    for average, old, new in zip(averages, before, weights, strict=True):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, atol=1e-6)


def test_step_is_counted(stepped):
    assert int(stepped[0].step.numpy()) == 1


def test_replicas_hold_the_same_weights(stepped):
    for variable in stepped[0].model.trainable_variables:
        copies = getattr(variable.value, "values", [variable.value])
        for copy in copies[1:]:
            np.testing.assert_array_equal(copies[0].numpy(), copy.numpy())


def test_seed_of_a_step_differs_by_replica_and_step(toy_task, make_toy_state, strategy):
    config_ = config.TrainConfig(batch_size=4, steps=3)
    train_state = make_toy_state(strategy, config_)

    def loss(model, batch, seed):
        draw = tf.random.stateless_uniform([], seed)
        return tf.fill([len(batch[1])], draw) + 0.0 * model(batch[1])[:, 0]

    train_step = step.make_train_step(
        strategy, train_state, loss, config=config_, xla=False
    )
    batches = iter(distribute.distribute(strategy, lambda: toy_task().examples(0), 4))
    values = {float(train_step(next(batches))[0]) for _ in range(3)}
    assert len(values) == 3
