"""The config of how a run uses the machine."""

import dataclasses

from tf_student.runtime.options import check, option


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """How a run uses the machine: compilation, kernels, number types and memory.

    Example:

    >>> RunConfig(dtype="bfloat16", device_batch=512).xla
    'auto'
    """

    xla: str = option(
        "auto",
        "Whether to compile with XLA; auto: on GPUs only.",
        choices=("auto", "on", "off"),
        free=True,
    )
    fused: str = option(
        "auto",
        "Whether to use the fused GroupNorm-SiLU kernels; auto: if they were built.",
        choices=("auto", "on", "off"),
        free=True,
        advanced=True,
    )
    dtype: str = option(
        "float32",
        "Number type of computations; weights stay float32.",
        choices=("float32", "bfloat16", "float16"),
    )
    deterministic: bool = option(
        False, "Use deterministic kernels, which give the same bits in every run."
    )
    accumulate: int = option(
        1,
        "Gradient accumulation: parts into which each device splits its share of a "
        "training batch, to save memory.",
        minimum=1,
        maximum=2**20,
        free=True,
    )
    recompute: bool = option(
        False,
        "Gradient checkpointing: store only the input of each block and recompute the "
        "rest for the gradients; less memory, about a third more time.",
        free=True,
    )
    device_batch: int = option(
        256,
        "Images that one device samples at once.",
        minimum=1,
        maximum=2**20,
        free=True,
    )

    def __post_init__(self):
        check(self)
