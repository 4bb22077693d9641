"""Schedules and predictions beside DDPM's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tf_student.diffusion import losses, predictions, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.diffusion.samplers import make_sampler
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError

PREDICTIONS = ("epsilon", "v", "x_0")
ZERO = DiffusionConfig(zero_terminal_snr=True, prediction="v")


def tensors(seed):
    return tf.random.stateless_normal([2, 4, 4, 3], [0, seed])


def test_betas_of_the_cosine_schedule_are_those_of_its_definition():
    bars = schedules.alpha_bars(DiffusionConfig(1000, schedule="cosine"))
    signal = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(bars[:990], signal[1:991] / signal[0], rtol=1e-9)
    # The last betas are limited to 0.999.
    assert bars[-1] == pytest.approx(bars[-2] * 1e-3)


def test_roots_of_the_scaled_linear_schedule_are_linear():
    config = DiffusionConfig(4, 0.01, 0.04, schedule="scaled_linear")
    bars = np.concatenate([[1.0], schedules.alpha_bars(config)])
    roots = np.sqrt(1 - bars[1:] / bars[:-1])
    np.testing.assert_allclose(roots, np.linspace(0.1, 0.2, 4))


def test_given_betas_take_the_place_of_a_schedule():
    config = DiffusionConfig(2, betas=(0.5, 0.2))
    np.testing.assert_allclose(schedules.alpha_bars(config), [0.5, 0.4])


def test_zero_terminal_snr_ends_in_pure_noise_and_keeps_the_start():
    bars, plain = map(schedules.alpha_bars, (ZERO, DiffusionConfig()))
    assert bars[-1] == 0.0
    assert bars[0] == pytest.approx(plain[0])
    assert np.all(np.diff(bars) < 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": (0.1,)}, "`betas` must have a value for each time step"),
        ({"timesteps": 2, "betas": (0.1, 1.0)}, "`betas` must lie between 0 and 1"),
        ({"zero_terminal_snr": True}, "`zero_terminal_snr` needs prediction v or x_0"),
        ({"schedule": "sigmoid"}, "`schedule` must be one of: linear"),
        ({"prediction": "score"}, "`prediction` must be one of: epsilon"),
    ],
)
def test_options_that_contradict_are_an_error(options, message):
    with pytest.raises(InputError, match=message):
        DiffusionConfig(**options)


def test_trailing_steps_begin_at_the_last():
    config = SamplerConfig("trailing", 4)
    steps = schedules.sampling_timesteps(config, DiffusionConfig())
    assert steps.tolist() == [999, 749, 499, 249]


@pytest.mark.parametrize("spacing", ["trailing", "log_snr"])
@pytest.mark.parametrize("timesteps", [1000, 4000])
def test_two_spacings_start_from_pure_noise(spacing, timesteps):
    diffusion = dataclasses.replace(ZERO, timesteps=timesteps)
    steps = schedules.sampling_timesteps(SamplerConfig(spacing, 10), diffusion)
    assert np.all(np.diff(steps) < 0) and steps[0] == timesteps - 1


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_target_stands_for_image_and_noise(prediction):
    x_0, eps, a = tensors(1), tensors(2), 0.3
    x = np.sqrt(a) * x_0 + np.sqrt(1 - a) * eps
    output = predictions.target(x_0, eps, alpha_bar=a, prediction=prediction)
    for actual, expected in zip(
        predictions.x_0_and_eps(x, output, alpha_bar=a, prediction=prediction),
        (x_0, eps),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_clipping_the_image_alone_keeps_the_noise():
    x, eps, a = 3 * tensors(1), tensors(2), 0.5
    x_0, same = predictions.x_0_and_eps(x, eps, alpha_bar=a, clipping="x_0")
    np.testing.assert_array_equal(same, eps)
    assert np.max(np.abs(x_0)) == 1.0


def test_clipping_both_keeps_x():
    x, eps, a = 3 * tensors(1), tensors(2), 0.5
    x_0, noise = predictions.x_0_and_eps(x, eps, alpha_bar=a, clipping="both")
    assert np.max(np.abs(x_0)) == 1.0
    np.testing.assert_allclose(np.sqrt(a) * (x_0 + noise), x, atol=1e-5)


def _exact(prediction, mean, diffusion):
    """The best network for images that all are `mean`."""
    bars = tf.constant(schedules.alpha_bars(diffusion), tf.float32)

    def network(x, t):
        a = tf.gather(bars, t)[:, None, None, None]
        eps = (x - tf.sqrt(a) * mean) / tf.sqrt(1 - a)
        return predictions.target(
            tf.zeros_like(x) + mean, eps, alpha_bar=a, prediction=prediction
        )

    return network


@pytest.mark.parametrize("solver", ["ddim", "dpm++2m"])
@pytest.mark.parametrize(
    "diffusion",
    [
        *(DiffusionConfig(prediction=p) for p in PREDICTIONS),
        *(DiffusionConfig(prediction=p, zero_terminal_snr=True) for p in ("v", "x_0")),
        DiffusionConfig(schedule="cosine"),
    ],
)
def test_samplers_reach_the_image_of_an_exact_network(diffusion, solver):
    spacing = "trailing" if diffusion.zero_terminal_snr else "uniform"
    network = _exact(diffusion.prediction, 0.25, diffusion)
    sample = make_sampler(network, diffusion, SamplerConfig(spacing, 8, solver))
    np.testing.assert_allclose(sample(tensors(3)), 0.25, atol=1e-3)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_loss_of_an_exact_network_is_zero(prediction):
    diffusion = DiffusionConfig(prediction=prediction)
    loss = losses.noise_loss(
        _exact(prediction, 0.25, diffusion),
        tf.fill([2, 4, 4, 3], 0.25),
        tensors(1),
        tf.constant([100, 900]),
        alpha_bars=schedules.alpha_bars(diffusion),
        prediction=prediction,
    )
    np.testing.assert_allclose(loss, 0.0, atol=1e-6)


@pytest.mark.parametrize("prediction", ["v", "x_0"])
def test_a_student_starts_as_the_teachers_estimate_of_the_image(prediction):
    diffusion = DiffusionConfig(prediction=prediction)
    unet = randomise(UNet(TINY))
    z = tf.random.stateless_normal([2, 8, 8, 3], [0, 1])
    output = unet(z, tf.fill([2], 999))
    x_0, _ = predictions.x_0_and_eps(
        z,
        output,
        alpha_bar=float(schedules.alpha_bars(diffusion)[-1]),
        prediction=prediction,
    )
    np.testing.assert_allclose(Student(unet, diffusion)(z), x_0, atol=1e-5)
