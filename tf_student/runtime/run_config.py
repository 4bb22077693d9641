"""How a run uses the machine, as a config."""

import dataclasses

from tf_student.runtime.options import check, option


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
