"""What an answer may hold, from the number and the shape of the requested images.

A server may be damaged or hostile. So what it sends never decides how much memory or
time a request takes: an answer may be about twice as long as the largest one that fits
the request, and everything in it is checked before it is used.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from typing import Any

from tf_student.runtime.errors import ServerError

# The most numbers in a request: five times what an export of RGB images accepts unless
# `--max_count` allows more.
MAX_VALUES = 2**24
# The longest description of a model, in bytes. Those of exports have a few thousand.
MAX_DESCRIPTION = 2**20
# The JSON around the images of an answer, in bytes.
_FRAME = 2**16
# What a PNG has besides its pixels, in bytes.
_PNG_FRAME = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_SIZE = re.compile("[1-9][0-9]{0,8}")
_MESSAGE = 500

Shape = tuple[int, int, int]


def image_shape(sizes: Iterable[Any], count: int, server: str) -> Shape:
    """The shape of an image, from the shape `[-1, height, width, channels]` of noise.

    Args:
        sizes: the dimensions as the server describes them: integers, or strings of
            their digits.
        count: number of images in a request.
        server: address of the server, for messages.

    Raises:
        ServerError: if the noise has another shape, if PNG does not support the number
            of channels, or if the images have more than `MAX_VALUES` numbers.
    """
    words = [str(s) if type(s) is int else s for s in sizes]
    known = [word for word in words if isinstance(word, str)]
    if len(known) != 4 or known[0] != "-1" or not all(map(_SIZE.fullmatch, known[1:])):
        raise ServerError(
            f"{server} must take noise [n, height, width, channels] in "
            f"`serving_default`. Received: [{one_line(', '.join(known[:9]), 99)}]."
        )
    height, width, channels = map(int, known[1:])
    if channels > 4 or count * height * width * channels > MAX_VALUES:
        raise ServerError(
            f"{server} must draw images of 1 to 4 channels, and `count` of them must "
            f"have at most {MAX_VALUES:,} numbers. Received: count={count}, images "
            f"[{height}, {width}, {channels}]."
        )
    return height, width, channels


def binary_bytes(count: int, shape: Shape) -> int:
    """The longest answer with images as PNGs or as a tensor, in bytes.

    PNGs may be twice as long as their pixels, which is far from what noise needs; the
    numbers of a tensor have one byte, or two in Protocol Buffers' variable length.
    """
    height, width, channels = shape
    rows = height * (1 + width * channels)
    return count * (2 * rows + _PNG_FRAME) + _FRAME


def base64_bytes(count: int, shape: Shape) -> int:
    """The longest answer with images as PNGs in base64, in bytes."""
    return 2 * binary_bytes(count, shape)


def list_bytes(count: int, shape: Shape) -> int:
    """The longest answer with images as lists of JSON, in bytes.

    A number from 0 to 255 with its comma, spaces and brackets takes at most 16 bytes.
    """
    height, width, channels = shape
    return 16 * count * height * width * channels + _FRAME


def check_pngs(files: Sequence[bytes], count: int, shape: Shape, server: str) -> None:
    """Checks that an answer has PNG files of the right number and size.

    Raises:
        ServerError: if not.
    """
    if len(files) != count:
        raise ServerError(
            f"{server} must return {count} images. Received: {len(files)}."
        )
    # A PNG begins with its signature and the chunk IHDR: 8 bytes, width and height.
    height, width, _ = shape
    expected = _PNG + b"\x00\x00\x00\rIHDR" + struct.pack(">II", width, height)
    if not all(file.startswith(expected) for file in files):
        raise ServerError(
            f"{server} must return PNG files of {width} times {height} pixels."
        )


def one_line(text: str, most: int = _MESSAGE) -> str:
    """The beginning of a text as one line of printable characters."""
    # A terminal would obey control characters.
    printable = (c if c.isprintable() else " " for c in text[: 8 * most])
    return " ".join("".join(printable).split())[:most]
