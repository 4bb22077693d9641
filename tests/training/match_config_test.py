import pytest

from tf_student.runtime.errors import InputError
from tf_student.training.match_config import MatchConfig
from tf_student.training.training_config import TrainConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "vsd"}, "`objective` must be one of: sid, dmd"),
        ({"objective": "dmd", "alpha": 1.2}, "`alpha` must be 1 with objective=dmd"),
        ({"min_time": 0.9}, "`max_time` must be above min_time=0.9"),
        ({"max_time": 1.5}, "`max_time` must be above min_time=0.02 and at most 1"),
        ({"fake_beta_1": 1.0}, "`fake_beta_1` must be below 1"),
        ({"fake_updates": 0}, "`fake_updates` must be at least 1"),
        ({"regression": float("nan")}, "`regression` must be at least 0"),
        ({"keep": "best"}, "`keep` must be one of: last, fid"),
    ],
)
def test_values_that_are_not_allowed(options, message):
    with pytest.raises(InputError, match=message):
        MatchConfig(**options)


def test_fake_score_decays_with_the_student_but_has_no_warm_up():
    train = TrainConfig(
        steps=100, learning_rate=1e-4, warmup_steps=20, decay_steps=50, clip_norm=1.0
    )
    config = MatchConfig(fake_learning_rate=5e-4, fake_beta_1=0.5)
    fake = config.fake_training(train)
    assert (fake.learning_rate, fake.beta_1, fake.warmup_steps) == (5e-4, 0.5, 0)
    assert (fake.steps, fake.decay_steps) == (100, 50)
    rate = config.discriminator_training(train).learning_rate
    assert rate == config.discriminator_learning_rate
