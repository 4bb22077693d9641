import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_student.architecture.unet_config import UNetConfig
from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.diffusion.losses import noise_loss
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.training import phases, state, step
from tf_student.training.batches import distribute
from tf_student.training.training_config import TrainConfig

_UNET = UNetConfig(
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
_TRAIN = TrainConfig(
    batch_size=8,
    steps=10,
    learning_rate=0.01,
    adam_epsilon=1e-3,
    clip_norm=0.05,
    ema_decay=0.75,
)
_ALPHA_BARS = schedules.alpha_bars(DiffusionConfig())


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


def _single(train_state, loss, config):
    return phases.single(train_state, loss, config.clip_norm)


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


@pytest.fixture(
    scope="module",
    params=[
        *[(1, False, 1), (1, True, 1), (2, False, 1), (2, True, 1)],
        *[(1, False, 4), (2, False, 2), (1, True, 2)],
    ],
    ids=lambda case: "{} replicas, xla {}, {} parts".format(*case),
)
def stepped(request):
    """A state after its first step on that batch, and what the step returned."""
    replicas, xla, parts = request.param
    strategy = devices.make_strategy([f"CPU:{i}" for i in range(replicas)])
    train_state = state.TrainState(strategy, _make_model, _TRAIN)
    before = _numpy(train_state.model.trainable_variables)
    train_step = step.make_train_step(
        strategy,
        train_state,
        phases.single(train_state, _loss, _TRAIN.clip_norm),
        config=_TRAIN,
        xla=xla,
        parts=parts,
    )
    batches = distribute(
        strategy, lambda _: tf.data.Dataset.from_tensor_slices(_examples()).repeat(), 8
    )
    outcome = train_step(next(iter(batches)), tf.constant(0.0))
    return train_state, before, outcome


def test_loss_is_the_mean_over_the_global_batch(stepped, reference):
    np.testing.assert_allclose(
        float(stepped[2].values["loss"]), reference[0], rtol=1e-5
    )


def test_norm_is_of_the_summed_gradients_before_clipping(stepped, reference):
    assert reference[2] > 0.05
    np.testing.assert_allclose(
        float(stepped[2].values["gradient_norm"]), reference[2], rtol=1e-4
    )


def test_optimizer_gets_the_clipped_gradients_of_the_global_batch(stepped, reference):
    _, gradients, norm = reference
    moments = _numpy(stepped[0].optimizer.first_moments)
    for moment, gradient in zip(moments, gradients, strict=True):
        # Adam's first moment after one step is (1 - 0.9) times the gradient.
        np.testing.assert_allclose(moment, 0.1 * gradient * 0.05 / norm, atol=1e-7)


def test_weights_move_as_by_keras_adam_on_the_whole_batch(stepped, reference):
    _, gradients, norm = reference
    weights = _numpy(stepped[0].model.trainable_variables)
    for after, before, gradient in zip(weights, stepped[1], gradients, strict=True):
        clipped = gradient * 0.05 / norm
        # With both moments corrected, the first step is
        # g / (|g| + epsilon / sqrt(1 - 0.999)).
        scale = np.sqrt(1 - 0.999)
        expected = before - 0.01 * clipped * scale / (np.abs(clipped) * scale + 1e-3)
        np.testing.assert_allclose(after, expected, atol=2e-6)


def test_ema_weights_move_by_a_quarter_of_the_way(stepped):
    train_state, before, _ = stepped
    ema_weights = _numpy(train_state.ema.trainable_variables)
    weights = _numpy(train_state.model.trainable_variables)
    for ema_weight, old, new in zip(ema_weights, before, weights, strict=True):
        np.testing.assert_allclose(ema_weight, 0.75 * old + 0.25 * new, atol=1e-6)


def test_step_is_counted(stepped):
    assert int(stepped[0].step.numpy()) == 1


def test_replicas_hold_the_same_weights(stepped):
    for variable in stepped[0].model.trainable_variables:
        copies = getattr(variable.value, "values", [variable.value])
        for copy in copies[1:]:
            np.testing.assert_array_equal(copies[0].numpy(), copy.numpy())


def test_seed_of_a_step_differs_by_replica_and_step(toy_task, make_toy_state, strategy):
    config = TrainConfig(batch_size=4, steps=3)
    train_state = make_toy_state(strategy, config)

    def loss(model, batch, seed):
        draw = tf.random.stateless_uniform([], seed)
        return tf.fill(tf.shape(batch[1])[:1], draw) + 0.0 * model(batch[1])[:, 0]

    train_step = step.make_train_step(
        strategy,
        train_state,
        _single(train_state, loss, config),
        config=config,
        xla=False,
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    values = {
        float(train_step(next(batches), tf.constant(0.0)).values["loss"])
        for _ in range(3)
    }
    assert len(values) == 3


def test_steps_are_traced_once(toy_task, make_toy_state, strategy):
    config = TrainConfig(batch_size=4, steps=3)
    train_state = make_toy_state(strategy, config)
    train_step = step.make_train_step(
        strategy,
        train_state,
        _single(train_state, toy_task().loss, config),
        config=config,
        xla=False,
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    for asked in (0.0, 0.0, 1.0):
        train_step(next(batches), tf.constant(asked))
    assert train_step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("asked", [0.0, 1.0])
def test_stop_request_reaches_every_replica(toy_task, make_toy_state, strategy, asked):
    config = TrainConfig(batch_size=4, steps=3)
    train_state = make_toy_state(strategy, config)
    train_step = step.make_train_step(
        strategy,
        train_state,
        _single(train_state, toy_task().loss, config),
        config=config,
        xla=False,
    )
    batches = iter(distribute(strategy, toy_task().examples_from_0, 4))
    stops = train_step(next(batches), tf.constant(asked)).stops
    assert (float(stops) > 0) == bool(asked)
