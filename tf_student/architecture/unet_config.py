"""The config of the network's architecture."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option, refuse

# Bounds of what a damaged file or a slip of the keyboard may ask for, far above any
# published network.
MAX_IMAGE_SIZE = 8192
MAX_WIDTH = 2**16
_MAX_LEVELS = 16
# Values of one image: a gigabyte in float32.
_MAX_VALUES = 2**28


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """Architecture of a diffusion model's network.

    The defaults are those of DDPM (arXiv 2006.11239, app. B). The advanced options are
    those of networks that were made with other libraries: diffusers' `UNet2DModel`, and
    improved- and guided-diffusion (arXiv 2102.09672 and 2105.05233).

    Example:

    >>> config = UNetConfig(image_size=64, width_multipliers=(1, 2, 2, 2, 4))
    >>> config.widths
    (128, 256, 256, 256, 512)
    >>> config.image_shape
    (64, 64, 3)
    """

    image_size: int = option(
        32, "Height and width of an image.", minimum=1, maximum=MAX_IMAGE_SIZE
    )
    channels: int = option(3, "Channels of an image.", minimum=1, maximum=1024)
    base_width: int = option(
        128, "Channels that width_multipliers multiply.", minimum=2, maximum=MAX_WIDTH
    )
    width_multipliers: tuple[int, ...] = option(
        (1, 2, 2, 2),
        "Channels of each level, from full resolution down, divided by base_width.",
        minimum=1,
        maximum=1024,
    )
    blocks_per_level: int = option(
        2, "Residual blocks in each level.", minimum=1, maximum=64
    )
    attention_resolutions: tuple[int, ...] = option(
        (16,),
        "Image sizes at which attention follows every residual block.",
        minimum=1,
        maximum=MAX_IMAGE_SIZE,
    )
    groups: int = option(
        32, "Groups of each group normalization.", minimum=1, maximum=MAX_WIDTH
    )
    norm_epsilon: float = option(
        1e-6,
        "Epsilon of each group normalization, which is added to the variance.",
        minimum=1e-12,
        advanced=True,
    )
    dropout: float = option(
        0.1, "Dropout rate before the last convolution of each block.", minimum=0
    )
    level_widths: tuple[int, ...] = option(
        (),
        "Channels of each level, in place of base_width times width_multipliers.",
        minimum=1,
        maximum=MAX_WIDTH,
        advanced=True,
        added=True,
    )
    up_attention_resolutions: tuple[int, ...] | None = option(
        None,
        "Image sizes with attention on the way up, if they differ from those on the "
        "way down.",
        minimum=1,
        maximum=MAX_IMAGE_SIZE,
        advanced=True,
        added=True,
    )
    middle_attention: str = option(
        "norm",
        "Attention between the middle blocks: with group normalization, without it, or "
        "none.",
        choices=("norm", "no_norm", "none"),
        advanced=True,
        added=True,
    )
    heads: int = option(
        1,
        "Heads of each attention.",
        minimum=1,
        maximum=4096,
        advanced=True,
        added=True,
    )
    head_width: int = option(
        0,
        "Channels of a head, in place of heads; 0 uses heads.",
        minimum=0,
        maximum=MAX_WIDTH,
        advanced=True,
        added=True,
    )
    cosine_first: bool = option(
        False,
        "Whether the time embedding has its cosines before its sines.",
        advanced=True,
        added=True,
    )
    frequency_shift: float = option(
        1.0,
        "What is subtracted from the number of frequencies of the time embedding in "
        "the exponent's divisor: 1 (DDPM) or 0.",
        minimum=0,
        advanced=True,
        added=True,
    )
    symmetric_padding: bool = option(
        False,
        "Whether convolutions that halve an image pad all four sides; otherwise the "
        "bottom and the right.",
        advanced=True,
        added=True,
    )
    scale_shift: bool = option(
        False,
        "Whether the time embedding scales and shifts the second normalization of a "
        "block; otherwise it is added before it.",
        advanced=True,
        added=True,
    )
    residual_down_resolutions: tuple[int, ...] = option(
        (),
        "Image sizes that a residual block halves, in place of a convolution.",
        minimum=1,
        maximum=MAX_IMAGE_SIZE,
        advanced=True,
        added=True,
    )
    residual_up_resolutions: tuple[int, ...] = option(
        (),
        "Image sizes that a residual block doubles, in place of a convolution.",
        minimum=1,
        maximum=MAX_IMAGE_SIZE,
        advanced=True,
        added=True,
    )
    classes: int = option(
        0,
        "Number of classes; 0: the network is unconditional.",
        minimum=0,
        maximum=2**20,
        advanced=True,
        added=True,
    )
    label_dropout: float = option(
        0.0,
        "Share of the teacher's training examples without a class. Above 0, the "
        "network has a null class, which classifier-free guidance needs.",
        minimum=0,
        advanced=True,
        added=True,
    )
    learned_variance: bool = option(
        False,
        "Whether the network has further output channels for a variance, which "
        "deterministic samplers do not use.",
        advanced=True,
        added=True,
    )

    def __post_init__(self) -> None:
        check(self)
        check_image_shape(self.image_shape)
        self._check_sizes()
        self._check_attention()
        for width in self.widths:
            if width % self.groups:
                raise InputError(
                    "`groups` must divide the channels. "
                    f"Received: groups={self.groups}, channels={width}."
                )
        for name in ("dropout", "label_dropout"):
            if not getattr(self, name) < 1:
                refuse(name, "be below 1", getattr(self, name))
        if self.label_dropout and not self.classes:
            refuse("label_dropout", "be 0 without classes", self.label_dropout)

    def _check_sizes(self) -> None:
        levels = len(self.widths)
        if not levels:
            refuse("width_multipliers", "name at least one level", ())
        if levels > _MAX_LEVELS:
            refuse("width_multipliers", f"name at most {_MAX_LEVELS} levels", levels)
        if max(self.widths) > MAX_WIDTH:
            refuse("base_width", f"lead to at most {MAX_WIDTH} channels", self.widths)
        divisor = 2 ** (levels - 1)
        if self.image_size % divisor:
            reason = f"because {levels} levels halve it {levels - 1} times"
            refuse(
                "image_size", f"be divisible by {divisor}, {reason}", self.image_size
            )
        if self.base_width % 2:
            refuse("base_width", "be even", self.base_width)
        if not self.frequency_shift < max(2, self.base_width // 2):
            refuse("frequency_shift", "be below base_width / 2", self.frequency_shift)

    def _check_attention(self) -> None:
        down, up = self.attention_resolutions, self.attention_resolutions_up
        middle = self.middle_attention != "none"
        for level, width in enumerate(self.widths):
            size = self.image_size >> level
            last = level + 1 == len(self.widths)
            if size in down or size in up or (last and middle):
                if width % (self.head_width or self.heads):
                    name = "head_width" if self.head_width else "heads"
                    raise InputError(
                        f"`{name}` must divide the channels of attention. Received: "
                        f"{name}={getattr(self, name)}, channels={width}."
                    )

    def heads_of(self, width: int) -> int:
        """Heads of an attention over `width` channels."""
        return width // self.head_width if self.head_width else self.heads

    @property
    def attention_resolutions_up(self) -> tuple[int, ...]:
        """Image sizes with attention on the way up."""
        if self.up_attention_resolutions is None:
            return self.attention_resolutions
        return self.up_attention_resolutions

    @property
    def label_rows(self) -> int:
        """Rows of the table of class embeddings; the last may be the null class."""
        return self.classes + bool(self.label_dropout)

    @property
    def output_channels(self) -> int:
        """Channels of the network's last convolution."""
        return self.channels * (2 if self.learned_variance else 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, from full resolution down."""
        if self.level_widths:
            return self.level_widths
        return tuple(self.base_width * m for m in self.width_multipliers)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return (self.image_size, self.image_size, self.channels)


def check_image_shape(shape: tuple[int, int, int]) -> None:
    """Raises an `InputError` unless images of the shape can be held in memory."""
    height, width, channels = shape
    if not (min(shape) >= 1 and height * width * channels <= _MAX_VALUES):
        refuse("image_shape", f"have 1 to {_MAX_VALUES:,} values", shape)


def widths_of(widths: Sequence[int]) -> dict[str, Any]:
    """The options of `UNetConfig` for levels of any widths, from full resolution down.

    The first one is `base_width`.
    """
    if not min(widths) > 0:
        refuse("level_widths", "be at least 1", tuple(widths))
    if any(width % widths[0] for width in widths):
        return {"width_multipliers": (1,), "level_widths": tuple(widths)}
    return {"width_multipliers": tuple(width // widths[0] for width in widths)}
