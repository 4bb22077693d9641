"""The properties of an exported model, as a config."""

import dataclasses

from tf_student.runtime.options import check, option, refuse

# The dtypes of each format.
_DTYPES = {
    "saved_model": ("float32", "bfloat16", "float16"),
    "litert": ("float32", "float16", "int8"),
    "onnx": ("float32", "float16", "int8"),
    "web": ("float32", "float16", "int8"),
}
# The largest request, in pixels: on the CIFAR-10 network, its activations at the full
# resolution take about half a gigabyte.
_PIXELS = 2**20
# Clients write the name into addresses.
_LONGEST_NAME = 200


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """How to export a network as a model for a server.

    Example:

    >>> ExportConfig(dtype="bfloat16").limit((32, 32, 3))
    1024
    """

    name: str = option(
        "", "The model's name; empty for the preset's, with _teacher for a teacher."
    )
    version: int = option(
        0,
        "Number of the version; 0 for one more than the highest existing number.",
        minimum=0,
        maximum=2**63 - 1,
    )
    format: tuple[str, ...] = option(
        ("saved_model",),
        "What to write, one or several: a SavedModel for TF Serving, a file for "
        "LiteRT or an ONNX runtime, or a page that draws in the browser.",
        choices=("saved_model", "litert", "onnx", "web"),
    )
    weights: str = option(
        "ema",
        "The EMA weights of the finished run, or the weights of its last checkpoint.",
        choices=("ema", "last"),
    )
    dtype: str = option(
        "float32",
        "The dtype of the computation; bfloat16 and float16 also halve the size of the "
        "stored weights. For litert, onnx and web, the dtype of the weights: "
        "float32, float16, int8.",
        choices=("float32", "bfloat16", "float16", "int8"),
    )
    ops: str = option(
        "stock",
        "TensorFlow's own operations, which every server has, or also the fused op.",
        choices=("stock", "fused"),
    )
    max_count: int = option(
        0,
        "Largest number of images in a request; 0 for as many as have 1,048,576 "
        "pixels.",
        minimum=0,
        maximum=2**31 - 1,
        advanced=True,
    )
    batch: int = option(
        0,
        "Number of images in every call of a litert or onnx file; 0 for any number.",
        minimum=0,
        maximum=2**31 - 1,
    )
    warmup: str = option(
        "noise",
        "Signatures that the server runs before it accepts requests: serving_default, "
        "all (unsupported by a server that batches requests), or none.",
        choices=("noise", "all", "none"),
        advanced=True,
    )
    verify: bool = option(
        False,
        "Compare the model with the network, in a process without this package and in "
        "a C++ program, before the version appears.",
    )

    def __post_init__(self):
        check(self)
        if self.max_count == 1:
            refuse("max_count", "be 0, or at least 2 for an interpolation", 1)
        allowed = set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
        )
        if not set(self.name) <= allowed:
            refuse("name", "have only letters, digits, _ and -", self.name)
        if len(self.name) > _LONGEST_NAME:
            expected = f"have at most {_LONGEST_NAME} characters"
            refuse("name", expected, self.name)
        for form in self.format:
            if self.dtype not in _DTYPES[form]:
                expected = f"be one of: {', '.join(_DTYPES[form])} for {form}"
                refuse("dtype", expected, self.dtype)
        if self.others and self.ops != "stock":
            refuse("ops", f"be stock for {self.others[0]}", self.ops)
        if self.batch and not self.portable:
            expected = "be 0 for a page, which draws one image at a time"
            if "saved_model" in self.format:
                expected = "be 0 for a SavedModel, which takes any number"
            refuse("batch", expected, self.batch)

    @property
    def others(self) -> tuple[str, ...]:
        """The formats that are not `saved_model`."""
        return tuple(form for form in self.format if form != "saved_model")

    @property
    def portable(self) -> tuple[str, ...]:
        """The formats that are one file."""
        return tuple(form for form in self.others if form != "web")

    def limit(self, image_shape: tuple[int, int, int]) -> int:
        """The largest number of images `(height, width, channels)` in a request."""
        height, width, _ = image_shape
        return self.max_count or max(2, _PIXELS // (height * width))
