"""Options of training runs: optimization, distillation, logging."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import MAX_SEED, check, option, refuse


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Batch size, steps and optimizer of a training run, of a teacher or a student.

    Raises:
        InputError: if a value is out of range, or warm-up and decay exceed `steps`.

    Example:

    >>> TrainConfig(batch_size=512, steps=50_000, warmup_steps=5000).learning_rate
    0.0002
    """

    batch_size: int = option(
        128, "Examples per step, over all replicas.", minimum=1, maximum=2**20
    )
    steps: int = option(
        1000, "Total number of optimizer steps.", minimum=1, maximum=10**9, free=True
    )
    learning_rate: float = option(
        2e-4, "Learning rate of Adam after warm-up.", minimum=0
    )
    warmup_steps: int = option(
        0, "Steps of linear warm-up of the learning rate.", minimum=0, maximum=10**9
    )
    decay_steps: int = option(
        0,
        "Last steps, in which the learning rate decays linearly to zero.",
        minimum=0,
        maximum=10**9,
    )
    beta_1: float = option(0.9, "Adam's first-moment decay.", minimum=0, advanced=True)
    beta_2: float = option(
        0.999, "Adam's second-moment decay.", minimum=0, advanced=True
    )
    adam_epsilon: float = option(1e-8, "Adam's epsilon.", minimum=0, advanced=True)
    clip_norm: float = option(
        0.0,
        "Maximum global norm that gradients are clipped to; 0: no clipping.",
        minimum=0,
    )
    ema_decay: float = option(0.9999, "Decay of the EMA weights.", minimum=0)
    seed: int = option(
        0, "Seed of weights, order, noise and dropout.", minimum=0, maximum=MAX_SEED
    )

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
    """The student's loss and the pairs it is trained on (arXiv 2101.02388, sec. 3).

    Raises:
        InputError: if a value is not allowed.

    Example:

    >>> DistillConfig("l1").distance
    'l1'
    """

    distance: str = option(
        "l2",
        "Distance of the student's image to the teacher's, summed over pixels.",
        choices=("l1", "l2"),
    )
    max_pairs: int = option(
        0,
        "Number of pairs to train on, rounded up to whole shards; 0: all.",
        minimum=0,
        maximum=10**10,
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class LogConfig:
    """How often a training run reports, evaluates and saves.

    Raises:
        InputError: if a value is out of range.

    Example:

    >>> LogConfig(log_every=10).checkpoint_every
    1000
    """

    log_every: int = option(
        50, "Steps between lines of metrics.", minimum=1, maximum=10**9, free=True
    )
    checkpoint_every: int = option(
        1000, "Steps between checkpoints.", minimum=1, maximum=10**9, free=True
    )
    checkpoints: int = option(
        3,
        "Number of checkpoints to keep.",
        minimum=1,
        maximum=10_000,
        free=True,
        advanced=True,
    )
    evaluate_every: int = option(
        1000,
        "Steps between evaluations: image grids and held-out losses.",
        minimum=1,
        maximum=10**9,
    )
    profile_steps: tuple[int, ...] = option(
        (),
        "First and last step to record with TensorFlow's profiler, such as 10,20.",
        maximum=10**9,
        free=True,
        advanced=True,
    )

    def __post_init__(self):
        check(self)
        steps = self.profile_steps
        if steps and not (len(steps) == 2 and 1 <= steps[0] <= steps[1]):
            refuse("profile_steps", "be a first and a last step, such as 10,20", steps)
