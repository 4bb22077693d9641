"""Reads image files of any format with Pillow, and states how channels are converted.

The rule is the same for all formats:

- A palette and 1 bit are expanded; CMYK becomes RGB.
- Of 16 bits, the upper 8 remain. Images of floats or of 32 bits are unreadable.
- For 3 channels, grey is repeated and alpha is dropped. For 1 channel, colour becomes
  the luma 0.299 R + 0.587 G + 0.114 B, and alpha is dropped. For 4 channels, alpha is
  kept, or 255.
- The orientation of the EXIF block is applied. Of animations and of files with several
  pages, the first picture is read.
"""

import functools
import io
import warnings
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from tf_student.runtime.errors import first_line

# By the number of channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
# Formats that Pillow recognizes but does not decode itself. EPS would run Ghostscript.
_FOREIGN = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# Further names of JPEG files.
_JPEG_SUFFIXES = frozenset({".jif", ".jfi", ".pjpeg", ".pjp", ".mpo"})
# Tags of TIFF.
_IMAGE_LENGTH, _BITS_PER_SAMPLE = 257, 258
# By the orientation in EXIF; 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns of what it reads nevertheless, and of very large images.
warnings.filterwarnings("ignore", module=r"PIL\b")


class UnreadableImageError(ValueError):
    """The content of a file is no image that can be read. The message is the reason."""


class Header(NamedTuple):
    """What the beginning of an image file says.

    Attributes:
        height: in pixels, upright.
        width: in pixels, upright.
        channels: 1 or 3, without alpha.
    """

    height: int
    width: int
    channels: int


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _FOREIGN)


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes of files that are taken for images, such as `.png`."""
    known = set(formats())
    table = Image.registered_extensions()
    return _JPEG_SUFFIXES.union(key for key, name in table.items() if name in known)


def read_header(file: IO[bytes]) -> Header:
    """Reads the beginning of an image file.

    Raises:
        UnreadableImageError: if it is no image, or one with too many pixels.
    """
    try:
        with _opened(file) as image:
            # Pillow swaps the sides of a TIFF file itself.
            turned = image.format != "TIFF" and "exif" in image.info
            width, height = image.size
            if turned and _orientation(image) > 4:
                width, height = height, width
            return Header(height, width, 1 if image.mode in _GREY else 3)
    except Exception as error:
        raise _unreadable(error) from error


def decode(content: bytes, channels: int) -> np.ndarray:
    """Decodes the content of an image file by the rule above.

    Args:
        content: of the file.
        channels: 1, 3 or 4.

    Returns:
        uint8 `[height, width, channels]`.

    Raises:
        UnreadableImageError: if it is no image, damaged, or one with too many pixels.

    Example:

    >>> from tf_student.data import pillow_images
    >>> pillow_images.decode(b"P5 2 1 255 \\x07\\x09", 3)[0].tolist()
    [[7, 7, 7], [9, 9, 9]]
    """
    try:
        with _opened(io.BytesIO(content)) as image:
            if image.format == "PNG":
                # Decoding does not compare the checksums.
                image.verify()
        with _opened(io.BytesIO(content)) as image:
            return _pixels(image, channels)
    except Exception as error:
        raise _unreadable(error) from error


def _opened(file: IO[bytes]) -> Image.Image:
    if not file.read(1):
        raise UnreadableImageError("it is empty")
    file.seek(0)
    return Image.open(file, formats=formats())


def _unreadable(error: Exception) -> UnreadableImageError:
    """The error for anything that Pillow raises, which differs between formats."""
    if isinstance(error, UnidentifiedImageError):
        return UnreadableImageError("its content is of no known format")
    return UnreadableImageError(first_line(error).rstrip("."))


def _pixels(image: Image.Image, channels: int) -> np.ndarray:
    if image.format == "TIFF":
        _check_strips(image)
    image.load()
    turn = _TURNS.get(_orientation(image))
    image = _eight_bits(image).convert(_MODES[channels])
    if turn is not None:
        image = image.transpose(turn)
    return np.asarray(image).reshape(image.height, image.width, channels)


def _check_strips(image: Any) -> None:
    """Raises if a TIFF file lacks strips, which Pillow would read as black rows."""
    rows = max((extents[3] for _, extents, *_ in image.tile), default=0)
    if rows < image.tag_v2[_IMAGE_LENGTH]:
        raise UnreadableImageError(
            f"it has {rows} of {image.tag_v2[_IMAGE_LENGTH]} rows"
        )


def _orientation(image: Image.Image) -> int:
    """The orientation in EXIF: 1 for upright, 5 to 8 if the sides are swapped."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    # The block is damaged; other programs show such an image upright.
    except Exception:
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits for each value, the upper ones."""
    # Pillow brings PNG and PPM files of this mode to 16 bits.
    wide = image.mode == "I" and image.format in ("PNG", "PPM")
    if wide or image.mode.startswith("I;16"):
        bits = 12 if _bits_per_sample(image) == 12 else 16
        values = np.asarray(image) >> (bits - 8)
        return Image.fromarray(values.astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"its values are of 32 bits (mode {image.mode})")
    return image


def _bits_per_sample(image: Image.Image) -> int:
    """The bits of a TIFF file's values, which Pillow does not scale; 0 for others."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_BITS_PER_SAMPLE, (0,))[0])
