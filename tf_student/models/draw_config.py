"""The images to draw, as configs."""

import dataclasses

from tf_student.runtime.options import MAX_SEED, check, option

# Images in a row of a grid.
COLUMNS = 16
_COUNT = 64


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """The images that `sample` draws.

    Example:

    >>> SampleConfig(count=16).seed
    0
    """

    count: int = option(
        0,
        "Number of images; 0: 64, or 16 for each of --labels.",
        minimum=0,
        maximum=10**6,
    )
    seed: int = option(0, "Seed of the noise.", minimum=0, maximum=MAX_SEED)
    labels: tuple[int, ...] = option(
        (),
        "Classes of the rows of 16 images, in turn, for networks that have them. "
        "Without them, the class of each image is drawn from seed and index.",
        minimum=0,
        maximum=10**6,
    )

    def __post_init__(self):
        check(self)

    @property
    def images(self) -> int:
        """Number of images."""
        return self.count or COLUMNS * len(self.labels) or _COUNT

    @property
    def image_labels(self) -> list[int] | None:
        """The class of each image; None draws it from the seed."""
        if not self.labels:
            return None
        rows = [row % len(self.labels) for row in range(-(-self.images // COLUMNS))]
        return [self.labels[row] for row in rows for _ in range(COLUMNS)][: self.images]


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
    labels: tuple[int, ...] = option(
        (),
        "Classes of the rows, in turn, for networks that have them. Without them, the "
        "class of a row is that of its first image.",
        minimum=0,
        maximum=10**6,
    )

    def __post_init__(self):
        check(self)
