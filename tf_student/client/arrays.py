"""Noise for requests and images from answers, without TensorFlow."""

import io
import itertools
from typing import Any

import numpy as np

from tf_student.client.limits import Shape
from tf_student.runtime.errors import ServerError


def noise(seed: int, count: int, shape: Shape) -> np.ndarray:
    """Normal noise, float32 `[count, *shape]`.

    It differs from the noise that the signature `png` draws for the same seed.
    """
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


def from_lists(values: Any, count: int, shape: Shape, server: str) -> np.ndarray:
    """Images, uint8 `[count, *shape]`, from parsed JSON.

    Args:
        values: lists of lists of integers from 0 to 255.
        count: number of images.
        shape: `(height, width, channels)`.
        server: address of the server, for the message.

    Raises:
        ServerError: if the values have another type, shape or range.
    """
    # NumPy would take strings and floats too, and would give every string of a list the
    # length of the longest.
    level = [values]
    for size in (count, *shape):
        if not all(type(value) is list and len(value) == size for value in level):
            raise wrong_images(count, shape, server)
        level = list(itertools.chain.from_iterable(level))
    if set(map(type, level)) != {int} or min(level) < 0 or max(level) > 255:
        raise wrong_images(count, shape, server)
    return np.array(level, np.uint8).reshape(count, *shape)


def wrong_images(count: int, shape: Shape, server: str) -> ServerError:
    """The error for an answer that does not have the requested images."""
    sizes = ", ".join(map(str, (count, *shape)))
    return ServerError(
        f"{server} must return images [{sizes}] of integers from 0 to 255."
    )


def pngs(images: np.ndarray) -> list[bytes]:
    """Encodes images as PNG files.

    Args:
        images: uint8 `[n, height, width, channels]`; 1 to 4 channels are written as
            grey, grey with alpha, RGB and RGB with alpha.
    """
    # Imported here, because `--help` and the requests by seed do not need it.
    from PIL import Image

    files = []
    for image in images:
        file = io.BytesIO()
        # Pillow has no third dimension in images of one channel.
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(
            file, "png"
        )
        files.append(file.getvalue())
    return files
