"""Noise to send and images that come back, without TensorFlow."""

import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_student.runtime.errors import ServerError

# Colour types of PNG by channels.
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def shape(sizes: Iterable[int | str], server: str) -> tuple[int, int, int]:
    """An image's shape from that of `noise`, `[-1, height, width, channels]`.

    Raises:
        ServerError: if it is no such shape; `server` is whose.
    """
    found = tuple(map(int, sizes))
    if len(found) != 4 or found[0] != -1 or min(found[1:]) < 1:
        raise ServerError(
            f"{server} must take noise [n, height, width, channels] by "
            f"`serving_default`. Received: {list(found)}."
        )
    return found[1:]


def noise(seed: int, count: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Float32 `[count, *shape]` of a seed; other noise than `png` draws of it."""
    return np.random.default_rng(seed).standard_normal((count, *shape), np.float32)


def from_lists(values: Any) -> np.ndarray:
    """An array of what JSON held; a string where its lists are uneven."""
    try:
        return np.array(values)
    except ValueError:
        return np.array("uneven")


def pngs(images: np.ndarray, shape: tuple[int, int, int], server: str) -> list[bytes]:
    """PNG files of images `[n, *shape]` of integers from 0 to 255.

    Raises:
        ServerError: if they are something else; `server` is who sent them.
    """
    fits = images.dtype.kind in "iu" and images.shape[1:] == shape
    if not fits or not images.size or images.min() < 0 or images.max() > 255:
        raise ServerError(f"{server} answered without images of {list(shape)}.")
    if shape[-1] not in _COLOURS:
        raise ServerError(f"{server} gave images that no PNG holds: {list(shape)}.")
    return [_png(image) for image in images.astype(np.uint8)]


def _png(image: np.ndarray) -> bytes:
    height, width, channels = image.shape
    # Each row is headed by its filter: none.
    rows = np.zeros([height, 1 + width * channels], np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        # The check covers the kind too.
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
