"""The images to draw, as configs."""

import dataclasses

from tf_student.runtime.options import MAX_SEED, check, option


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """The images that `sample` draws.

    Example:

    >>> SampleConfig(count=16).seed
    0
    """

    count: int = option(64, "Number of images.", minimum=1, maximum=10**6)
    seed: int = option(0, "Seed of the noise.", minimum=0, maximum=MAX_SEED)

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class InterpolateConfig:
    """The interpolations that `interpolate` draws.

    Example:

    >>> InterpolateConfig(rows=2).columns
    10
    """

    rows: int = option(
        8, "Interpolations, each between two images.", minimum=1, maximum=1000
    )
    columns: int = option(
        10, "Images of an interpolation, including both ends.", minimum=2, maximum=1000
    )
    seed: int = option(0, "Seed of the noise.", minimum=0, maximum=MAX_SEED)

    def __post_init__(self):
        check(self)
