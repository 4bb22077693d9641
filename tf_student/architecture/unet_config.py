"""The architecture of the network, as a config."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option, refuse


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """Architecture of the noise-predicting network (DDPM, arXiv 2006.11239, app. B)."""

    image_size: int = option(32, "Height and width of an image.", minimum=1)
    channels: int = option(3, "Channels of an image.", minimum=1)
    base_width: int = option(128, "Channels at full resolution.", minimum=2)
    width_multipliers: tuple[int, ...] = option(
        (1, 2, 2, 2), "Width of each level, in multiples of the base.", minimum=1
    )
    blocks_per_level: int = option(2, "Residual blocks of a level.", minimum=1)
    attention_resolutions: tuple[int, ...] = option(
        (16,), "Image sizes at which every residual block is followed by attention."
    )
    groups: int = option(32, "Groups of each normalisation.", minimum=1)
    norm_epsilon: float = option(1e-6, "Added to the variance.", minimum=1e-12)
    dropout: float = option(0.1, "Rate before each block's last conv.", minimum=0)

    def __post_init__(self):
        check(self)
        levels = len(self.width_multipliers)
        if not levels:
            refuse("width_multipliers", "name at least one level", ())
        if self.image_size % 2 ** (levels - 1):
            refuse(
                "image_size",
                f"be divisible by {2 ** (levels - 1)}, for {levels} levels halve it "
                f"{levels - 1} times",
                self.image_size,
            )
        if self.base_width % 2:
            refuse("base_width", "be even", self.base_width)
        for width in self.widths:
            if width % self.groups:
                raise InputError(
                    "`groups` must divide the channels. "
                    f"Received: groups={self.groups}, channels={width}."
                )
        if not self.dropout < 1:
            refuse("dropout", "be below 1", self.dropout)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from full resolution down."""
        return tuple(self.base_width * m for m in self.width_multipliers)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return (self.image_size, self.image_size, self.channels)
