"""Noise for requests and images from answers, without TensorFlow."""

import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_student.runtime.errors import ServerError


def shape(sizes: Iterable[int | str], server: str) -> tuple[int, int, int]:
    """The shape of an image, from the shape `[-1, height, width, channels]` of noise.

    Args:
        sizes: the dimensions as the server describes them.
        server: address of the server, for the message.

    Raises:
        ServerError: if the noise has another shape.
    """
    batch, *image = dimensions = [int(size) for size in sizes] or [0]
    if len(image) != 3 or batch != -1 or min(image) < 1:
        raise ServerError(
            f"{server} must take noise [n, height, width, channels] in "
            f"`serving_default`. Received: {dimensions}."
        )
    height, width, channels = image
    return height, width, channels


def noise(seed: int, count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Normal noise, float32 `[count, *shape]`.

    It differs from the noise that the signature `png` draws for the same seed.
    """
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


def from_lists(values: Any) -> np.ndarray:
    """An array of parsed JSON; for uneven lists an array of a string."""
    try:
        return np.array(values)
    except ValueError:
        return np.array("uneven")


def pngs(images: np.ndarray, shape: tuple[int, int, int], server: str) -> list[bytes]:
    """Encodes images as PNG files.

    Args:
        images: integers from 0 to 255, `[n, *shape]`; 1 to 4 channels are written as
            grey, grey with alpha, RGB and RGB with alpha.
        shape: `(height, width, channels)`.
        server: address of the server, for messages.

    Raises:
        ServerError: if the images have another type, shape or number of channels.
    """
    # Imported here, because `--help` and the requests by seed do not need it.
    from PIL import Image

    fits = images.dtype.kind in "iu" and images.shape[1:] == shape
    if not fits or not images.size or images.min() < 0 or images.max() > 255:
        sizes = ", ".join(map(str, shape))
        raise ServerError(
            f"{server} must return images [n, {sizes}] of integers from 0 to 255. "
            f"Received: {images.dtype.name} {list(images.shape)}."
        )
    if shape[-1] > 4:
        raise ServerError(
            f"{server} must return images of 1 to 4 channels, which PNG supports. "
            f"Received: {list(shape)}."
        )
    files = []
    for image in images.astype(np.uint8):
        file = io.BytesIO()
        # Pillow has no third dimension in images of one channel.
        Image.fromarray(image[..., 0] if shape[-1] == 1 else image).save(file, "png")
        files.append(file.getvalue())
    return files
