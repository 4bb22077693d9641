"""The random times and noise of a step of distribution matching."""

from typing import NamedTuple

import tensorflow as tf

from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.training.match_config import MatchConfig

_fold_in = tf.random.experimental.stateless_fold_in


class Draw(NamedTuple):
    """A time, and the noise that an image has at it.

    Attributes:
        t: int32.
        eps: standard normal noise of the shape of an image, float32.
    """

    t: tf.Tensor
    eps: tf.Tensor


def fake(update: int) -> str:
    """The name of the draw for an update of the fake score in a step."""
    return f"fake_{update}"


def fake_noise(update: int) -> str:
    """The name of the noise from which such an update generates images."""
    return f"fake_z_{update}"


def draw(
    key: tf.Tensor,
    shape: tuple[int, ...],
    config: MatchConfig,
    diffusion: DiffusionConfig,
    *,
    count: tuple[int, ...] = (),
) -> dict[str, Draw | tf.Tensor]:
    """Draws everything random for an example, or for a batch, but its first noise.

    Args:
        key: integers `[2]`. Equal keys give equal draws.
        shape: the shape of an image.
        config: the updates of a step, and the times of the student's loss.
        diffusion: its number of time steps.
        count: `(n,)` for a batch; empty for one example.

    Returns:
        `student`; `fake_k` and, after the first one, `fake_z_k` for update k of the
        fake score, whose times are from the whole process; with an adversarial loss
        `real` and `generated`, at the same times.
    """
    some = tuple(
        round(part * diffusion.timesteps) for part in (config.min_time, config.max_time)
    )

    def normal(number: int) -> tf.Tensor:
        key_of_draw = _fold_in(key, 2 * number)
        return tf.random.stateless_normal([*count, *shape], key_of_draw)

    def one(number: int, times: tuple[int, ...]) -> Draw:
        key_of_draw = _fold_in(key, 2 * number + 1)
        t = tf.random.stateless_uniform([*count], key_of_draw, *times, tf.int32)
        return Draw(t, normal(number))

    draws: dict[str, Draw | tf.Tensor] = {"student": one(0, some)}
    if config.adversarial:
        draws["real"] = one(1, some)
        draws["generated"] = draws["real"]._replace(eps=normal(2))
    for update in range(config.fake_updates):
        draws[fake(update)] = one(3 + 2 * update, (0, diffusion.timesteps))
        if update:
            draws[fake_noise(update)] = normal(4 + 2 * update)
    return draws
