"""Options of distribution matching."""

import dataclasses

from tf_student.runtime.options import check, option, refuse
from tf_student.training.training_config import TrainConfig


@dataclasses.dataclass(frozen=True)
class MatchConfig:
    """How a student is matched to the distribution of its teacher.

    The fake score is a copy of the teacher that learns to denoise the student's images.
    It must learn faster than the student: with equal or lower rates, images slowly
    become worse although all losses stay small.

    Raises:
        InputError: if a value is not allowed, or if options contradict each other.

    Example:

    >>> MatchConfig("dmd", fake_learning_rate=5e-4).fake_updates
    1
    """

    objective: str = option(
        "sid",
        "Loss of the student: `sid`, score identity distillation (arXiv 2404.04057), "
        "or `dmd`, distribution matching distillation (arXiv 2311.18828).",
        choices=("sid", "dmd"),
    )
    alpha: float = option(
        1.0, "SiD's alpha, the weight of its squared term.", minimum=0, advanced=True
    )
    fake_learning_rate: float = option(
        5e-4, "Learning rate of the fake score; it has no warm-up.", minimum=0
    )
    fake_beta_1: float = option(
        0.0, "First-moment decay of the fake score's Adam.", minimum=0, advanced=True
    )
    fake_updates: int = option(
        1,
        "Updates of the fake score in a step.",
        minimum=1,
        maximum=1000,
        advanced=True,
    )
    fake_clip_norm: float = option(
        1.0,
        "Maximum global norm of the fake score's gradients; 0: no clipping.",
        minimum=0,
        advanced=True,
    )
    min_time: float = option(
        0.02, "Smallest time of the student's loss, as a part of T.", minimum=0
    )
    max_time: float = option(
        0.8, "Largest time of the student's loss, as a part of T.", minimum=0
    )
    regression: float = option(
        0.0, "Weight of the distance to stored pairs; 0 uses no pairs.", minimum=0
    )
    adversarial: float = option(
        0.0,
        "Weight of an adversarial loss on real images (arXiv 2410.14919); 0 uses no "
        "real images.",
        minimum=0,
    )
    discriminator_learning_rate: float = option(
        5e-4, "Learning rate of the discriminator.", minimum=0, advanced=True
    )
    keep: str = option(
        "last",
        "The EMA weights to keep: `last`, or those with the lowest `fid` to the real "
        "images, measured at every evaluation.",
        choices=("last", "fid"),
    )
    keep_samples: int = option(
        5000, "Generated images for each FID of --keep=fid.", minimum=2, maximum=10**7
    )

    def __post_init__(self):
        check(self)
        if self.fake_beta_1 >= 1:
            refuse("fake_beta_1", "be below 1", self.fake_beta_1)
        if not self.min_time < self.max_time <= 1:
            expected = f"be above min_time={self.min_time} and at most 1"
            refuse("max_time", expected, self.max_time)
        if self.objective == "dmd" and self.alpha != 1:
            refuse("alpha", "be 1 with objective=dmd, which has no alpha", self.alpha)

    def fake_training(self, train: TrainConfig) -> TrainConfig:
        """The optimizer of the fake score: it decays as that of the student."""
        return dataclasses.replace(
            train,
            learning_rate=self.fake_learning_rate,
            warmup_steps=0,
            beta_1=self.fake_beta_1,
        )

    def discriminator_training(self, train: TrainConfig) -> TrainConfig:
        """The optimizer of the discriminator: as that of the fake score."""
        return dataclasses.replace(
            self.fake_training(train), learning_rate=self.discriminator_learning_rate
        )
