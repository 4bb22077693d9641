"""Grids of images, and PNG files."""

import math

import numpy as np
import tensorflow as tf

from tf_student.runtime import files


def grid(images: np.ndarray, columns: int = 0, border: int = 1) -> np.ndarray:
    """Places images in a grid, row by row, on white.

    Args:
        images: uint8 `[n, height, width, channels]`.
        columns: the number of images in a row; 0 makes the grid about square.
        border: the width of the white lines around the images, in pixels.

    Returns:
        uint8 `[rows * (height + border) + border, columns * (width + border) + border,
        channels]`.

    Example:

    >>> from tf_student.data import grids
    >>> grids.grid(np.zeros([6, 8, 8, 3], np.uint8), columns=3).shape
    (19, 28, 3)
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
    """Orders images so that the rows of a grid show the sets in turn.

    The first row shows images of the first set, the second row the images of the second
    set with the same indices, and so on.

    Args:
        sets: uint8 arrays of the same shape `[n, height, width, channels]`.
        columns: the number of images in a row; white images complete the last row.

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
    """Writes an image as a PNG file atomically.

    Args:
        path: the path of the file.
        image: uint8 `[height, width, channels]` with 1, 3 or 4 channels.
        width: a small image is magnified by the largest integer that leaves it at most
            this wide, in pixels; 0 keeps the size.
    """
    magnify = max(1, width // image.shape[1])
    image = image.repeat(magnify, axis=0).repeat(magnify, axis=1)
    with files.replacing(path) as temporary:
        tf.io.write_file(temporary, tf.io.encode_png(image))
