"""How teachers and students are trained, as configs."""

import dataclasses

from tf_student.runtime.errors import InputError
from tf_student.runtime.options import check, option, refuse


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
