import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion import schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig


def test_quadratic_steps_are_the_squares_of_an_even_grid():
    steps = schedules.sampling_timesteps(
        SamplerConfig("quadratic", 100), DiffusionConfig()
    )
    # (k / 99)^2 * 800, rounded down, without floating point.
    expected = sorted({800 * k * k // 9801 for k in range(100)}, reverse=True)
    assert steps.tolist() == expected


def test_quadratic_steps_are_96_distinct_ones_from_800_to_0():
    steps = schedules.sampling_timesteps(
        SamplerConfig("quadratic", 100), DiffusionConfig()
    )
    assert len(steps) == 96
    assert steps[:4].tolist() == [800, 783, 768, 752]
    assert steps[-6:].tolist() == [6, 5, 3, 2, 1, 0]
    assert np.all(np.diff(steps) < 0)


def test_uniform_steps_are_20_apart():
    steps = schedules.sampling_timesteps(
        SamplerConfig("uniform", 50), DiffusionConfig()
    )
    assert steps.tolist() == list(range(980, -1, -20))


@pytest.mark.parametrize("calls", [2, 3, 30, 501, 600, 999])
def test_uniform_steps_are_even_for_any_number_of_calls(calls):
    # DDIM, app. D.2: floor(c i), where c makes the last one close to T.
    config = SamplerConfig("uniform", calls)
    steps = schedules.sampling_timesteps(config, DiffusionConfig())
    expected = [i * 1000 // calls for i in reversed(range(calls))]
    assert steps.tolist() == expected
    assert steps[0] >= 999 - 1000 / calls


@pytest.mark.parametrize("spacing", ["uniform", "quadratic", "trailing", "log_snr"])
def test_a_single_call_is_at_the_noisiest_step(spacing):
    config = SamplerConfig(spacing, 1)
    steps = schedules.sampling_timesteps(config, DiffusionConfig())
    assert steps.tolist() == [999]


def test_more_calls_than_time_steps_visit_each_once():
    steps = schedules.sampling_timesteps(
        SamplerConfig("uniform", 50), DiffusionConfig(10)
    )
    assert steps.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_steps_are_int32():
    steps = schedules.sampling_timesteps(
        SamplerConfig("quadratic", 100), DiffusionConfig()
    )
    assert steps.dtype == np.int32


def test_alpha_bars_of_three_steps():
    # betas .1 .2 .3
    bars = schedules.alpha_bars(DiffusionConfig(3, 0.1, 0.3))
    np.testing.assert_allclose(bars, [0.9, 0.72, 0.504], rtol=1e-14)


def test_alpha_bars_of_ddpm():
    bars = schedules.alpha_bars(DiffusionConfig())
    assert bars.shape == (1000,)
    assert bars.dtype == np.float64
    assert bars[0] == 0.9999
    assert bars[-1] == pytest.approx(4.0358e-5, rel=1e-4)
    assert np.all(np.diff(bars) < 0)


@pytest.mark.parametrize("calls", [2, 10, 50])
def test_log_snr_steps_are_even_in_lambda(calls):
    config = SamplerConfig("log_snr", calls)
    steps = schedules.sampling_timesteps(config, DiffusionConfig())
    along = schedules.half_log_snr(schedules.alpha_bars(DiffusionConfig()))[steps]
    assert steps[-1] == 0 and np.all(np.diff(steps) < 0)
    if calls == 10:
        assert steps[0] == 999 and len(steps) == 10
        # The steps next to 0 are coarse in lambda.
        np.testing.assert_allclose(np.diff(along), np.ptp(along) / 9, atol=0.3)


def test_half_log_snr_of_tensors_and_arrays_agree():
    bars = np.array([0.9, 0.5, 0.1])
    expected = [0.5 * np.log(9), 0.0, -0.5 * np.log(9)]
    np.testing.assert_allclose(schedules.half_log_snr(bars), expected, atol=1e-15)
    tensor = schedules.half_log_snr(tf.constant(bars))
    np.testing.assert_allclose(tensor, expected, atol=1e-15)
