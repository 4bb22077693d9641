"""Writes a student as a page that draws its images in the browser.

The folder is static: the model, TensorFlow.js with its WebAssembly backend, and a page
in plain HTML, CSS and JavaScript. `page/` holds everything but the model.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import tensorflow as tf

from tf_student.custom_ops.group_norm_silu.python import ops
from tf_student.diffusion.inputs import Inputs
from tf_student.runtime.errors import InputError
from tf_student.runtime.options import refuse
from tf_student.serving import graph_model
from tf_student.serving.metadata import Metadata
from tf_student.serving.signatures import LABELS
from tf_student.serving.version_writer import Fill

Generate = Callable[[Inputs], tf.Tensor]

_PAGE = pathlib.Path(__file__).parent / "page"
# Bytes of stored weights, for which a visitor waits, and parameters, which a browser
# holds in float32.
_LARGEST, _PARAMETERS = 2**28, 2**27
_BYTES = {"float32": 4, "float16": 2, "int8": 1}


def check(*, teacher: bool) -> None:
    """Checks what can be known before a network is loaded.

    Raises:
        InputError: if the network is a teacher.
    """
    if teacher:
        raise InputError(
            "`network` must be a student for web: a page draws each image in one "
            "network call. Received: network=teacher."
        )


def fill(
    generate: Generate, about: Metadata, check: Callable[[str], None] | None = None
) -> Fill:
    """A function that fills a folder with static files.

    Args:
        generate: function from a student's inputs to images, computed in float32.
        about: of the model. With the dtype float16, matrices and kernels are stored in
            two bytes, with int8 in one; the page always computes in float32.
        check: called with the folder when it is filled.

    Raises:
        InputError: if the weights are too large, or the images neither grey nor RGB.
    """
    if about.image_shape[-1] not in (1, 3):
        refuse("channels", "be 1 or 3 for web", about.image_shape[-1])
    size = about.parameters * _BYTES[about.dtype]
    if size > _LARGEST:
        raise InputError(
            f"`network` must have at most {_LARGEST:,} bytes of weights for web. "
            f"Received: {size:,} bytes, dtype={about.dtype}."
        )
    if about.parameters > _PARAMETERS:
        raise InputError(
            f"`network` must have at most {_PARAMETERS:,} parameters for web. "
            f"Received: {about.parameters:,}."
        )

    def fill(directory: str) -> None:
        copy_page(directory)
        _write_model(directory, generate, about)
        if check:
            check(directory)

    return fill


def copy_page(directory: str) -> None:
    """Copies everything but the model into a directory, over files of these names."""
    for source in [*sorted(_PAGE.rglob("*.*")), _PAGE / "tensorflowjs" / "LICENSE"]:
        target = os.path.join(directory, *source.relative_to(_PAGE).parts)
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(str(source), target, overwrite=True)


def _write_model(directory: str, generate: Generate, about: Metadata) -> None:
    # One image: a browser computes several at once hardly faster, and paints each.
    signature = [tf.TensorSpec([1, *about.image_shape], tf.float32, "noise")]
    if about.classes:
        signature.append(tf.TensorSpec([1], tf.int32, LABELS))
    with ops.stock_operations():
        graph_model.write(
            directory,
            lambda *inputs: generate(inputs if about.classes else inputs[0]),
            signature,
            dataclasses.asdict(about),
            weights=about.dtype,
        )
