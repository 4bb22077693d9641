"""Compares a page with its network, in Node.js or Chromium, without this package."""

import os
import tempfile

import numpy as np

from tf_student.runtime.errors import InputError, VerificationError
from tf_student.serving import portable, portable_verification, web_runtime
from tf_student.serving.metadata import Metadata
from tf_student.serving.verification import Verification, local_copy
from tf_student.serving.web import Generate

# Limits of images and of their pixels: one thread computes, which takes long.
_COUNT, _PIXELS = 16, 2**14


def check_installed() -> None:
    """Checks that a program can run the page.

    Raises:
        InputError: if there is neither Node.js nor Chromium.
    """
    if web_runtime.find() is None:
        raise InputError(
            "`verify` needs Node.js 18 or newer, or Chromium, for web: the command "
            "node, chromium or google-chrome. Received: verify=True."
        )


def verify(directory: str, generate: Generate, about: Metadata) -> Verification:
    """Compares the images of a page with those of its network.

    Args:
        directory: of the page, on any file system that TensorFlow supports.
        generate: the float32 network, from noise, or the pair of noise and labels, to
            float images.
        about: of the model; its dtype determines the tolerance.

    Raises:
        VerificationError: if the page fails or draws other images.
    """
    program = web_runtime.find()
    if program is None:
        raise VerificationError("`verify` needs Node.js or Chromium for web.")
    height, width, _ = about.image_shape
    count = min(_COUNT, max(1, _PIXELS // (height * width)))
    inputs = portable_verification.inputs(portable.Layout(about, count))
    expected = portable_verification.expected(inputs, generate)
    shape = (*expected.shape[:3], 4)
    with tempfile.TemporaryDirectory() as scratch:
        folder = local_copy(directory, scratch)
        try:
            content = web_runtime.draw(
                program, folder, portable_verification.SEED, count
            )
        except RuntimeError as error:
            raise VerificationError(str(error)) from error
    loader = "Node.js" if web_runtime.is_node(program) else "Chromium"
    drawn = np.frombuffer(content, np.uint8)
    if len(drawn) == np.prod(shape):
        # A canvas has three colours for grey images too, and an opacity.
        drawn = drawn.reshape(shape)[..., :3]
        expected = np.broadcast_to(expected, drawn.shape)
    distance = portable_verification.check(
        os.path.join(directory, "index.html"), drawn, expected, loader, about.dtype
    )
    return Verification((f"WebAssembly in {loader}",), distance)
