import pytest

from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.runtime.errors import InputError


def message(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


@pytest.mark.parametrize("betas", [(0.0, 0.02), (0.02, 1e-4), (1e-4, 1.0)])
def test_betas_must_increase_between_zero_and_one(betas):
    assert message(lambda: DiffusionConfig(1000, *betas)) == (
        "`beta_start` and `beta_end` must satisfy 0 < beta_start <= beta_end < 1. "
        f"Received: beta_start={betas[0]}, beta_end={betas[1]}."
    )


def test_the_process_needs_two_time_steps():
    assert message(lambda: DiffusionConfig(1)) == (
        "`timesteps` must be at least 2. Received: timesteps=1."
    )


def test_an_unknown_spacing_is_an_error_that_lists_the_known_ones():
    assert message(lambda: SamplerConfig("cubic")) == (
        "`spacing` must be one of: uniform, trailing, quadratic, log_snr. "
        "Received: spacing='cubic'."
    )


def test_an_unknown_solver_is_an_error_that_lists_the_known_ones():
    assert message(lambda: SamplerConfig(solver="euler")) == (
        "`solver` must be one of: ddim, dpm++2m. Received: solver='euler'."
    )
