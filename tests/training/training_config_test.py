import pytest

from tf_student.runtime.errors import InputError
from tf_student.training.training_config import DistillConfig, LogConfig, TrainConfig


@pytest.mark.parametrize("name", ["beta_1", "beta_2", "ema_decay"])
@pytest.mark.parametrize("value", [1.0, 1.5, float("nan"), -0.1])
def test_decays_must_be_below_one(name, value):
    with pytest.raises(InputError, match=f"`{name}` must be"):
        TrainConfig(**{name: value})


def test_warm_up_and_decay_must_fit_into_the_steps():
    with pytest.raises(InputError, match="warmup_steps=6, decay_steps=5, steps=10"):
        TrainConfig(steps=10, warmup_steps=6, decay_steps=5)
    TrainConfig(steps=10, warmup_steps=5, decay_steps=5)


def test_warm_up_may_outlast_a_run_without_decay():
    assert TrainConfig(steps=10, warmup_steps=5000).warmup_steps == 5000


def test_distance_is_l1_or_l2():
    with pytest.raises(InputError, match="`distance` must be one of: l1, l2"):
        DistillConfig("l3")


@pytest.mark.parametrize("steps", [(3,), (0, 4), (5, 4), (1, 2, 3)])
def test_profiled_steps_are_a_first_and_a_last_step(steps):
    with pytest.raises(InputError, match="`profile_steps` must be"):
        LogConfig(profile_steps=steps)
