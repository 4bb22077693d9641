"""Frozen dataclasses that say what a run does.

Each option exists once, as a field with its documentation beside it; the command line
flags are derived from these fields. What one package alone is asked for stands in its
own `config.py`. No TensorFlow in any of them, so `--help` is instant.
"""

import dataclasses

from tf_student.errors import InputError
from tf_student.options import check, option, refuse


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


@dataclasses.dataclass(frozen=True)
class DiffusionConfig:
    """The forward process q(x_t | x_0), with linear betas (DDPM, sec. 4)."""

    timesteps: int = option(1000, "T, the number of noise levels.", minimum=2)
    beta_start: float = option(1e-4, "Noise variance at the first step.", minimum=0)
    beta_end: float = option(0.02, "Noise variance at the last step.", minimum=0)

    def __post_init__(self):
        check(self)
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise InputError(
                "`beta_start` and `beta_end` must rise within (0, 1). Received: "
                f"beta_start={self.beta_start}, beta_end={self.beta_end}."
            )


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """The teacher's deterministic sampler."""

    spacing: str = option(
        "uniform",
        "Spacing of the time steps; log_snr suits dpm++2m.",
        choices=("uniform", "quadratic", "log_snr"),
    )
    calls: int = option(
        50, "Time steps asked for; quadratic spacing drops repeated ones.", minimum=1
    )
    solver: str = option(
        "ddim",
        "ddim (arXiv 2010.02502, eta 0), or dpm++2m, of second order (2211.01095).",
        choices=("ddim", "dpm++2m"),
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Real images."""

    dataset: str = option(
        "digits",
        "`digits` (embedded), a TFDS name such as cifar10, a folder of images, or an "
        ".npz file of uint8 images.",
    )
    split: str = option("train", "Split of a TFDS dataset, or array of an .npz file.")
    data_dir: str = option("", "Where TFDS keeps its data; empty for its default.")
    flip: bool = option(True, "Mirror images at random while training.")

    def __post_init__(self):
        check(self)
        if not self.dataset:
            refuse("dataset", "be a name or a path", self.dataset)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run, of a teacher or of a student."""

    batch_size: int = option(128, "Examples of a step, over all replicas.", minimum=1)
    steps: int = option(1000, "Optimizer steps in all.", minimum=1, free=True)
    learning_rate: float = option(2e-4, "Adam's rate after warm-up.", minimum=0)
    warmup_steps: int = option(0, "Steps of linear warm-up.", minimum=0)
    decay_steps: int = option(
        0, "Steps at the end over which the rate falls linearly to zero.", minimum=0
    )
    beta_1: float = option(0.9, "Adam's first-moment decay.", minimum=0)
    beta_2: float = option(0.999, "Adam's second-moment decay.", minimum=0)
    adam_epsilon: float = option(1e-8, "Adam's epsilon.", minimum=0)
    clip_norm: float = option(
        0.0, "Largest global gradient norm; 0 leaves gradients alone.", minimum=0
    )
    ema_decay: float = option(0.9999, "Decay of the averaged weights.", minimum=0)
    seed: int = option(0, "Seed of weights, order, noise and dropout.", minimum=0)

    def __post_init__(self):
        check(self)
        for name in ("beta_1", "beta_2", "ema_decay"):
            if not getattr(self, name) < 1:
                refuse(name, "be below 1", getattr(self, name))
        if self.warmup_steps + self.decay_steps > self.steps and self.decay_steps:
            raise InputError(
                "`warmup_steps` and `decay_steps` must fit into `steps`. Received: "
                f"warmup_steps={self.warmup_steps}, decay_steps={self.decay_steps}, "
                f"steps={self.steps}."
            )


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """What the student is asked for (Luhman & Luhman, sec. 3)."""

    distance: str = option(
        "l2",
        "Distance of student and teacher image, summed over pixels.",
        choices=("l1", "l2"),
    )
    max_pairs: int = option(
        0, "Train on the first so many pairs, in whole files; 0: on all.", minimum=0
    )
    online: bool = option(
        False,
        "Let the teacher make each pair when it is needed, and store none; they are "
        "those that `pairs` would store with the same flags.",
        free=True,
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """Which images to draw."""

    what: str = option(
        "student",
        "Whose images; both draws them on the same noise.",
        choices=("student", "teacher", "both"),
    )
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


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """How a run uses the machine."""

    xla: str = option(
        "auto",
        "Compile each replica's work with XLA; auto: on GPUs only.",
        choices=("auto", "on", "off"),
        free=True,
    )
    fused: str = option(
        "auto",
        "Use the fused GroupNorm-SiLU kernels; auto: where they were built.",
        choices=("auto", "on", "off"),
        free=True,
    )
    dtype: str = option(
        "float32",
        "Compute type of the networks; weights stay float32.",
        choices=("float32", "bfloat16", "float16"),
    )
    deterministic: bool = option(
        False, "Use deterministic kernels: the same bits from the same command."
    )
    accumulate: int = option(
        1,
        "Parts into which a device cuts its share of a training batch, to save memory.",
        minimum=1,
        free=True,
    )
    recompute: bool = option(
        False,
        "Keep inputs of blocks alone while training and compute the rest again for the "
        "gradients: less memory, about a third more time.",
        free=True,
    )
    device_batch: int = option(
        256, "Images that one device samples at once.", minimum=1, free=True
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """How often a training run reports and saves."""

    log_every: int = option(50, "Steps between log lines.", minimum=1, free=True)
    checkpoint_every: int = option(
        1000, "Steps between checkpoints.", minimum=1, free=True
    )
    checkpoints: int = option(3, "Checkpoints kept.", minimum=1, free=True)
    evaluate_every: int = option(
        1000, "Steps between image grids and held-out losses.", minimum=1
    )
    profile_steps: tuple[int, ...] = option(
        (), "First and last step that TensorFlow's profiler records.", free=True
    )

    def __post_init__(self):
        check(self)
        steps = self.profile_steps
        if steps and not (len(steps) == 2 and 1 <= steps[0] <= steps[1]):
            refuse("profile_steps", "be a first and a last step, such as 10,20", steps)
