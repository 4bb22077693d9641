"""What an exported model is."""

import dataclasses

from tf_student.runtime.options import check, option, refuse

# Activations of so many pixels at full resolution: about half a gigabyte on CIFAR-10.
_PIXELS = 2**20


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """How a network becomes a model that a server loads."""

    name: str = option(
        "", "The model's name; empty for the preset's, with _teacher for a teacher."
    )
    version: int = option(
        0, "Number of the version; 0 for one more than the highest there.", minimum=0
    )
    weights: str = option(
        "ema",
        "The averaged weights of the finished run, or those of its last checkpoint.",
        choices=("ema", "last"),
    )
    dtype: str = option(
        "float32",
        "What the network computes in; half types halve the stored weights too.",
        choices=("float32", "bfloat16", "float16"),
    )
    ops: str = option(
        "stock",
        "TensorFlow's own operations, which every server has, or the fused op too.",
        choices=("stock", "fused"),
    )
    max_count: int = option(
        0,
        "Images of one request at most; 0 for as many as make 1,048,576 pixels.",
        minimum=0,
    )
    warmup: str = option(
        "noise",
        "Signatures that the server runs before it answers: serving_default, all "
        "(not for a server that batches requests), or none.",
        choices=("noise", "all", "none"),
    )
    verify: bool = option(
        False,
        "Compare the model with the run's network in a process without this package "
        "and in a C++ program, before the version appears.",
    )

    def __post_init__(self):
        check(self)
        if self.max_count == 1:
            refuse("max_count", "be 0, or at least 2 for an interpolation", 1)
        if self.version >= 2**63:
            refuse("version", "fit into 63 bits", self.version)
        allowed = set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
        )
        if not set(self.name) <= allowed:
            refuse("name", "be of letters, digits, _ and -", self.name)

    def limit(self, image_shape: tuple[int, int, int]) -> int:
        """Images of one request at most."""
        height, width, _ = image_shape
        return self.max_count or max(2, _PIXELS // (height * width))
