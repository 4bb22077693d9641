import numpy as np
import pytest
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.diffusion import samplers, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

BARS = schedules.alpha_bars(DiffusionConfig())
STEPS = schedules.sampling_timesteps(SamplerConfig("uniform", 20), DiffusionConfig())
Z = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)


def sample(eps_fn, z=Z, steps=STEPS):
    return samplers.ddim_sample(
        eps_fn, tf.constant(z), timesteps=steps, alpha_bars=BARS
    ).numpy()


def numpy_loop(eps_fn, z, steps):
    """DDIM, eq. 12 with sigma = 0, in float64."""
    x = z.astype(np.float64)
    for i, t in enumerate(steps):
        a = BARS[t]
        a_next = BARS[steps[i + 1]] if i + 1 < len(steps) else 1.0
        eps = eps_fn(x, t)
        x_0 = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
        x = np.sqrt(a_next) * x_0 + np.sqrt(1 - a_next) * eps
    return x


@pytest.mark.parametrize("c", [-0.5, 0.3, 0.95])
def test_a_linear_eps_scales_the_noise_by_a_known_factor(c):
    # With eps = c x a step multiplies x by
    #   sqrt(a'/a) (1 - c sqrt(1 - a)) + c sqrt(1 - a').
    a = BARS[STEPS]
    a_next = np.append(a[1:], 1.0)
    factor = np.prod(
        np.sqrt(a_next / a) * (1 - c * np.sqrt(1 - a)) + c * np.sqrt(1 - a_next)
    )
    assert_close(sample(lambda x, t: c * x), factor * Z)


def test_standard_normal_data_rotates_the_noise_by_angles():
    # For x_0 ~ N(0, 1) the best prediction is eps = sqrt(1 - a_t) x. With
    # a = cos(u)^2 a step multiplies x by cos(u - u').
    u = np.append(np.arccos(np.sqrt(BARS[STEPS])), 0.0)
    one_minus_a = tf.constant(1 - BARS, tf.float32)

    def eps_fn(x, t):
        return tf.sqrt(tf.gather(one_minus_a, t))[:, None, None, None] * x

    assert_close(sample(eps_fn), np.prod(np.cos(np.diff(u))) * Z)


def test_any_noise_leads_to_the_image_of_data_of_one_image():
    # eps = (x - sqrt(a_t) m) / sqrt(1 - a_t) is exact for any steps.
    m = np.linspace(-1, 1, Z[0].size).reshape(Z[0].shape)
    bars = tf.constant(BARS, tf.float32)

    def eps_fn(x, t):
        a = tf.gather(bars, t)[:, None, None, None]
        return (x - tf.sqrt(a) * tf.constant(m, tf.float32)) / tf.sqrt(1 - a)

    assert_close(sample(eps_fn), np.broadcast_to(m, Z.shape), "float16")


@pytest.mark.parametrize(
    "config", [SamplerConfig("uniform", 50), SamplerConfig("quadratic", 100)]
)
def test_a_nonlinear_eps_agrees_with_a_loop_in_float64(config):
    steps = schedules.sampling_timesteps(config, DiffusionConfig())
    expected = numpy_loop(lambda x, t: np.tanh(x * (1 + t / 500)), Z, steps)

    def eps_fn(x, t):
        scale = 1 + tf.cast(t, tf.float32)[:, None, None, None] / 500
        return tf.tanh(x * scale)

    assert_close(sample(eps_fn, steps=steps), expected)


def test_a_single_step_predicts_the_image():
    a = BARS[999]
    expected = (Z - np.sqrt(1 - a) * np.sin(Z)) / np.sqrt(a)
    actual = sample(lambda x, t: tf.sin(x), steps=np.array([999], np.int32))
    assert_close(actual, expected)


def test_eps_is_called_once_a_step_with_int32_steps_of_the_batch():
    calls = []

    def note(x, t):
        calls.append(t)
        return np.zeros_like(x)

    def eps_fn(x, t):
        return tf.ensure_shape(tf.numpy_function(note, [x, t], tf.float32), x.shape)

    sample(eps_fn)
    assert [t.tolist() for t in calls] == [[step] * 3 for step in STEPS]
    assert {t.dtype for t in calls} == {np.dtype(np.int32)}


def test_images_are_not_clipped():
    assert np.max(np.abs(sample(lambda x, t: tf.zeros_like(x)))) > 10


def test_arithmetic_is_float32_around_a_float16_eps():
    half = sample(lambda x, t: tf.cast(tf.round(x), tf.float16))
    assert half.dtype == np.float32
    assert np.array_equal(half, sample(lambda x, t: tf.round(x)))


def test_a_graph_of_unknown_batch_gives_the_same():
    def eps_fn(x, t):
        return 0.3 * x

    spec = tf.TensorSpec([None, 4, 4, 2], tf.float32)

    @tf.function(input_signature=[spec])
    def graph(z):
        return samplers.ddim_sample(eps_fn, z, timesteps=STEPS, alpha_bars=BARS)

    assert_close(graph(Z), sample(eps_fn))


# Data ~ N(MEAN, DEVIATION^2): the best prediction and the exact solution are known.
MEAN, DEVIATION = 0.4, 0.3


def gaussian_eps(x, t):
    a = tf.gather(tf.constant(BARS, tf.float32), t)[:, None, None, None]
    return tf.sqrt(1 - a) * (x - tf.sqrt(a) * MEAN) / (a * DEVIATION**2 + 1 - a)


def error(solver, calls, spacing="quadratic"):
    steps = schedules.sampling_timesteps(
        SamplerConfig(spacing, calls), DiffusionConfig()
    )
    sample = samplers.make_sampler(
        gaussian_eps, DiffusionConfig(), SamplerConfig(spacing, calls, solver)
    )
    actual = sample(tf.constant(Z))
    a = BARS[steps[0]]
    exact = MEAN + DEVIATION * (Z - np.sqrt(a) * MEAN) / np.sqrt(
        a * DEVIATION**2 + 1 - a
    )
    return float(np.sqrt(np.mean(np.square(actual - exact))))


def test_dpm_agrees_with_a_loop_in_float64():
    def eps_fn(x, t):
        scale = 1 + tf.cast(t, tf.float32)[:, None, None, None] / 500
        return tf.tanh(x * scale)

    actual = samplers.dpm_sample(
        eps_fn, tf.constant(Z), timesteps=STEPS, alpha_bars=BARS
    )
    x, last_x_0 = Z.astype(np.float64), None
    half_log_snr = 0.5 * np.log(BARS / (1 - BARS))
    for i, t in enumerate(STEPS):
        a, sigma = BARS[t], np.sqrt(1 - BARS[t])
        x_0 = (x - sigma * np.tanh(x * (1 + t / 500))) / np.sqrt(a)
        if i + 1 == len(STEPS):
            x = x_0
            break
        nearer = STEPS[i + 1]
        h = half_log_snr[nearer] - half_log_snr[t]
        guess = x_0
        if i:
            r = (half_log_snr[t] - half_log_snr[STEPS[i - 1]]) / h
            guess = (1 + 1 / (2 * r)) * x_0 - 1 / (2 * r) * last_x_0
        x = np.sqrt(1 - BARS[nearer]) / sigma * x
        x -= np.sqrt(BARS[nearer]) * np.expm1(-h) * guess
        last_x_0 = x_0
    assert_close(actual, x)


@pytest.mark.parametrize("calls", [10, 20, 50])
def test_dpm_is_nearer_to_the_exact_solution_than_ddim(calls):
    ddim = min(error("ddim", calls, spacing) for spacing in ("uniform", "log_snr"))
    assert error("dpm++2m", calls, "log_snr") < 0.5 * ddim


def test_orders_of_the_solvers():
    def gain(solver):
        return error(solver, 20, "log_snr") / error(solver, 40, "log_snr")

    assert gain("ddim") < 2.5 < 3 < gain("dpm++2m")


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_few_steps_of_dpm_are_finite(calls):
    assert np.isfinite(error("dpm++2m", calls))


def test_ddim_of_an_eps_of_zero_undoes_the_scaling():
    config = SamplerConfig("uniform", 1000)
    run = samplers.make_sampler(
        lambda x, t: tf.zeros_like(x), DiffusionConfig(), config
    )
    # Without noise every step divides by sqrt(alpha_bar) of the first: 4.0358e-5.
    np.testing.assert_allclose(run(tf.constant(Z)).numpy(), 157.41 * Z, rtol=1e-3)


@pytest.mark.parametrize("solver", ["ddim", "dpm++2m"])
@pytest.mark.parametrize("spacing", ["uniform", "quadratic", "log_snr"])
def test_make_sampler_follows_the_config(solver, spacing):
    config, diffusion = SamplerConfig(spacing, 7, solver), DiffusionConfig(100)
    solve = {"ddim": samplers.ddim_sample, "dpm++2m": samplers.dpm_sample}[solver]
    expected = solve(
        lambda x, t: tf.tanh(x),
        tf.constant(Z),
        timesteps=schedules.sampling_timesteps(config, diffusion),
        alpha_bars=schedules.alpha_bars(diffusion),
    )
    sample = samplers.make_sampler(lambda x, t: tf.tanh(x), diffusion, config)
    assert np.array_equal(sample(tf.constant(Z)), expected)


def test_make_sampler_uses_50_uniform_steps_of_ddim_by_default():
    steps = np.arange(980, -1, -20)
    expected = sample(lambda x, t: tf.sin(x), steps=steps)
    actual = samplers.make_sampler(lambda x, t: tf.sin(x))(tf.constant(Z))
    assert np.array_equal(actual, expected)
