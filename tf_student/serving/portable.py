"""Students as one file for runtimes that do not need TensorFlow: what formats share.

The file has one function, from float32 `noise` `[n, height, width, channels]` and, with
classes, int32 `labels` `[n]`, to uint8 `images` of the shape of the noise. Its weights
are constants. The noise of a seed is the client's to draw.
"""

import dataclasses
import importlib.util
import json
from typing import Any

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.data import images
from tf_student.runtime.errors import InputError, first_line
from tf_student.serving.metadata import Metadata
from tf_student.serving.signatures import LABELS, ServedModel

NOISE, IMAGES = "noise", "images"
# Name of the metadata, which are a JSON object, in a file.
METADATA = "tf_student"
# The largest number of bytes of float32 weights: the converters write protocol buffers
# and FlatBuffers, which end at 2 GiB, and the graph needs some of them.
_LARGEST = 2**31 - 2**26


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a file holds.

    Attributes:
        about: the origin and the properties of the network. Its dtype is that of the
            weights in the file.
        batch: number of images of a call; 0 for any number.
    """

    about: Metadata
    batch: int

    def inputs(self) -> list[tf.TensorSpec]:
        """The inputs of the function."""
        n = self.batch or None
        specs = [tf.TensorSpec([n, *self.about.image_shape], tf.float32, NOISE)]
        if self.about.classes:
            specs.append(tf.TensorSpec([n], tf.int32, LABELS))
        return specs

    def metadata(self, **values: Any) -> str:
        """The metadata as JSON, with more values of the format."""
        about = dataclasses.asdict(self.about)
        return json.dumps({**about, "batch": self.batch, **values})


def trace(model: ServedModel, layout: Layout) -> tf.types.experimental.GenericFunction:
    """The function of a file, traced with TensorFlow's own operations.

    Args:
        model: the network, which computes in float32.
        layout: of the file.
    """
    specs = layout.inputs()

    def draw(*inputs):
        both = inputs if len(inputs) > 1 else inputs[0]
        return {IMAGES: images.to_uint8(model.generate(both))}

    function = tf.function(draw, autograph=False, input_signature=specs)
    with ops.stock_operations():
        function.get_concrete_function()
    return function


def check_installed(form: str, packages: tuple[str, ...]) -> None:
    """Checks that the packages of a format are installed, without importing them.

    Args:
        form: name of the format and of the extra.
        packages: names by which the packages are imported.

    Raises:
        InputError: if one of them is missing.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"`format` needs {' and '.join(missing)} for {form}: "
            f"pip install 'tf-student[{form}]'. Received: format={form}."
        )


def lacking(form: str, error: Exception) -> InputError:
    """The error of a converter that does not know an operation, in one line."""
    return InputError(
        f"`format` must have all operations of the network. Received: format={form}: "
        f"{first_line(error)}"
    )


def check_size(layout: Layout, form: str) -> None:
    """Checks that a format can hold the weights and the batch.

    Raises:
        InputError: if the weights do not fit into 2 GiB, or the activations of a batch
            exceed the limit of a request.
    """
    size = 4 * layout.about.parameters
    if size > _LARGEST:
        raise InputError(
            f"`network` must have at most {_LARGEST // 4:,} parameters for {form}, "
            f"whose files end at 2 GiB. Received: {layout.about.parameters:,}."
        )
    if layout.batch > layout.about.max_count:
        raise InputError(
            f"`batch` must be at most {layout.about.max_count}, as `max_count` is. "
            f"Received: batch={layout.batch}."
        )
