import itertools

import numpy as np
import tensorflow as tf

from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.training import match_draws
from tf_student.training.match_config import MatchConfig

_CONFIG = MatchConfig(fake_updates=3, adversarial=1.0, min_time=0.25, max_time=0.5)
_SHAPE = (4, 4, 1)


def _draw(key, config=_CONFIG, **options):
    return match_draws.draw(
        tf.constant(key), _SHAPE, config, DiffusionConfig(timesteps=40), **options
    )


def _noise(draws):
    return {k: getattr(value, "eps", value).numpy() for k, value in draws.items()}


def test_every_update_has_draws_of_its_own():
    of_fake = {"fake_0", "fake_1", "fake_z_1", "fake_2", "fake_z_2"}
    draws = _draw([0, 1])
    assert draws.keys() == {"student", "real", "generated", *of_fake}
    assert draws["generated"].t is draws["real"].t
    noise = _noise(draws) | {"of the next index": _noise(_draw([0, 2]))["student"]}
    for (name, one), (_, other) in itertools.combinations(noise.items(), 2):
        assert not np.isclose(one, other).any(), name
    assert _draw([0, 1], MatchConfig()).keys() == {"student", "fake_0"}


def test_a_key_always_gives_the_same():
    first, second = _noise(_draw([7, 3])), _noise(_draw([7, 3]))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_times_are_uniform_in_their_range():
    draws = _draw([0, 0], count=(4000,))
    for name, low, high in (
        ("student", 10, 20),
        ("real", 10, 20),
        ("fake_0", 0, 40),
        ("fake_2", 0, 40),
    ):
        counts = np.bincount(draws[name].t.numpy(), minlength=high)
        expected = 4000 / (high - low)
        assert counts[:low].sum() == 0 and len(counts) == high
        # Six standard deviations.
        assert abs(counts[low:] - expected).max() < 6 * expected**0.5
    assert draws["student"].eps.shape == (4000, *_SHAPE)
