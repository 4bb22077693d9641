"""Image grids, and PNG files."""

import math

import numpy as np
import tensorflow as tf

from tf_student.runtime import files


def grid(images: np.ndarray, columns: int = 0, border: int = 1) -> np.ndarray:
    """Lays images out row by row.

    Args:
        images: uint8 `[n, height, width, channels]`.
        columns: images in a row; 0 for about a square.
        border: white pixels between images.

    Returns:
        uint8 `[rows * height + ..., columns * width + ..., channels]`.
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    cell = (height + border, width + border)
    sheet = np.full(
        (rows * cell[0] + border, columns * cell[1] + border, channels), 255, np.uint8
    )
    for i, image in enumerate(images):
        top = border + i // columns * cell[0]
        left = border + i % columns * cell[1]
        sheet[top : top + height, left : left + width] = image
    return sheet


def alternate_rows(sets: list[np.ndarray], columns: int) -> np.ndarray:
    """Orders images so that a grid shows a row of the first set, of the second, ..

    Args:
        sets: uint8 arrays of one shape `[n, height, width, channels]`.
        columns: images in a row; a last short row is filled up with white.

    Returns:
        uint8 `[rows * len(sets) * columns, height, width, channels]`.
    """
    missing = -len(sets[0]) % columns
    padding = [(0, missing)] + [(0, 0)] * 3
    rows = [
        np.pad(s, padding, constant_values=255).reshape(-1, columns, *s.shape[1:])
        for s in sets
    ]
    return np.stack(rows, axis=1).reshape(-1, *sets[0].shape[1:])


def write_png(path: str, image: np.ndarray, *, width: int = 0) -> None:
    """Writes an image atomically, magnified to at most `width` pixels if it is small.

    Args:
        path: of the file.
        image: uint8 `[height, width, channels]`; channels may be 1, 3 or 4.
        width: in pixels; a larger image keeps its size, and 0 keeps every size.
    """
    magnify = max(1, width // image.shape[1])
    image = image.repeat(magnify, axis=0).repeat(magnify, axis=1)
    with files.replacing(path) as temporary:
        tf.io.write_file(temporary, tf.io.encode_png(image))
