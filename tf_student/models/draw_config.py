"""Which images to draw, as configs."""

import dataclasses

from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """Which images to draw."""

    count: int = option(64, "Images.", minimum=1)
    seed: int = option(0, "Seed of the noise.", minimum=0)

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class InterpolateConfig:
    """Which walks through the noise to draw."""

    rows: int = option(8, "Walks, each between two draws of noise.", minimum=1)
    columns: int = option(10, "Images of a walk, both ends included.", minimum=2)
    seed: int = option(0, "Seed of the noise.", minimum=0)

    def __post_init__(self):
        check(self)
