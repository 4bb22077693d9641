"""The config of the network's architecture."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """Architecture of the noise-predicting network (DDPM, arXiv 2006.11239, app. B).

    Example:

    >>> config = UNetConfig(image_size=64, width_multipliers=(1, 2, 2, 2, 4))
    >>> config.widths
    (128, 256, 256, 256, 512)
    >>> config.image_shape
    (64, 64, 3)
    """

    image_size: int = option(32, "Height and width of an image.", minimum=1)
    channels: int = option(3, "Channels of an image.", minimum=1)
    base_width: int = option(
        128, "Channels that width_multipliers multiply.", minimum=2
    )
    width_multipliers: tuple[int, ...] = option(
        (1, 2, 2, 2),
        "Channels of each level, from full resolution down, divided by base_width.",
        minimum=1,
    )
    blocks_per_level: int = option(2, "Residual blocks in each level.", minimum=1)
    attention_resolutions: tuple[int, ...] = option(
        (16,), "Image sizes at which attention follows every residual block."
    )
    groups: int = option(32, "Groups of each group normalization.", minimum=1)
    norm_epsilon: float = option(
        1e-6,
        "Epsilon of each group normalization, which is added to the variance.",
        minimum=1e-12,
        advanced=True,
    )
    dropout: float = option(
        0.1, "Dropout rate before the last convolution of each block.", minimum=0
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_sizes()
        for width in self.widths:
            if width % self.groups:
                raise InputError(
                    "`groups` must divide the channels. "
                    f"Received: groups={self.groups}, channels={width}."
                )
        if not self.dropout < 1:
            refuse("dropout", "be below 1", self.dropout)

    def _check_sizes(self) -> None:
        levels = len(self.width_multipliers)
        if not levels:
            refuse("width_multipliers", "name at least one level", ())
        divisor = 2 ** (levels - 1)
        if self.image_size % divisor:
            reason = f"because {levels} levels halve it {levels - 1} times"
            refuse(
                "image_size", f"be divisible by {divisor}, {reason}", self.image_size
            )
        if self.base_width % 2:
            refuse("base_width", "be even", self.base_width)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from full resolution down."""
        return tuple(self.base_width * m for m in self.width_multipliers)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return (self.image_size, self.image_size, self.channels)
