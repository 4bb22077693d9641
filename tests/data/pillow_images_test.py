import contextlib
import io
import re

import numpy as np
import pytest
from PIL import Image

from tests.image_files import encode, picture
from tf_student.data import pillow_images

PICTURE = picture()
GREY = np.asarray(Image.fromarray(PICTURE).convert("L"))


def _mode(mode: str) -> Image.Image:
    return Image.fromarray(PICTURE).convert(mode)


def _palette() -> Image.Image:
    """Few colours, so that a palette holds them exactly."""
    return Image.fromarray(PICTURE // 128 * 200).convert("P", palette=1, colors=16)


def _decode(image, kind, channels=3, **options):
    return pillow_images.decode(encode(image, kind, **options), channels)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
        ("TGA", {}),
        ("JPEG2000", {}),
        ("QOI", {}),
    ],
)
def test_formats_that_lose_nothing_give_the_pixels(kind, options):
    np.testing.assert_array_equal(_decode(PICTURE, kind, **options), PICTURE)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_a_palette_is_expanded(kind):
    expected = np.asarray(_palette().convert("RGB"))
    np.testing.assert_array_equal(_decode(_palette(), kind), expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_grey_is_repeated(kind):
    np.testing.assert_array_equal(_decode(GREY, kind), np.stack([GREY] * 3, -1))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_one_bit_is_0_or_255(kind):
    bits = Image.fromarray(PICTURE[..., 0] > 60)
    expected = np.where(PICTURE[..., :1] > 60, 255, 0)
    np.testing.assert_array_equal(_decode(bits, kind, 1), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_the_upper_8_of_16_bits_remain(kind):
    values = (np.arange(64).reshape(8, 8) * 1000 + 7).astype(np.uint16)
    np.testing.assert_array_equal(_decode(values, kind, 1)[..., 0], values >> 8)


def test_big_endian_16_bits():
    values = (np.arange(64).reshape(8, 8) * 1000 + 7).astype(">u2")
    content = b"P5 8 8 65535 " + values.tobytes()
    np.testing.assert_array_equal(pillow_images.decode(content, 1)[..., 0], values >> 8)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int32(7)])
def test_values_of_32_bits_are_unreadable(value):
    content = encode(Image.fromarray(np.full((4, 4), value)), "TIFF")
    with pytest.raises(pillow_images.UnreadableImageError, match="of 32 bits"):
        pillow_images.decode(content, 3)


def test_cmyk_becomes_rgb():
    # A JPEG of one colour loses next to nothing.
    orange = np.full((8, 8, 3), (240, 120, 30), np.uint8)
    cmyk = Image.fromarray(orange).convert("CMYK")
    np.testing.assert_allclose(_decode(cmyk, "JPEG", quality=100), orange, atol=2)
    np.testing.assert_allclose(_decode(cmyk, "TIFF"), orange, atol=1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_dropped_or_kept_for_four_channels(kind):
    image = np.dstack([PICTURE, np.full((8, 8), 130, np.uint8)])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(_decode(image, kind, 3, **options), PICTURE)
    np.testing.assert_array_equal(_decode(image, kind, 4, **options), image)


def test_an_image_without_alpha_gets_255_for_four_channels():
    expected = np.dstack([PICTURE, np.full((8, 8), 255, np.uint8)])
    np.testing.assert_array_equal(_decode(PICTURE, "BMP", 4), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
def test_colour_becomes_the_luma(mode):
    np.testing.assert_allclose(
        _decode(_mode(mode), "TIFF", 1)[..., 0],
        PICTURE @ np.array([0.299, 0.587, 0.114]),
        atol=1,
    )


# What a viewer shows of a picture that is stored in this orientation.
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_the_orientation_of_exif_is_applied(kind, orientation):
    stored, exif = picture(8, 12), Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    content = encode(stored, kind, exif=exif, **options)
    expected = SHOWN[orientation](stored)
    atol = 16 if kind == "JPEG" else 0
    np.testing.assert_allclose(
        pillow_images.decode(content, 3).astype(int), expected, atol=atol
    )
    header = pillow_images.read_header(io.BytesIO(content))
    assert header == (*expected.shape[:2], 3)


def test_a_damaged_exif_block_is_ignored():
    content = encode(PICTURE, "PNG", exif=b"Exif\x00\x00nonsense")
    np.testing.assert_array_equal(pillow_images.decode(content, 3), PICTURE)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_picture_of_several_is_read(kind):
    first, second = (np.full((8, 8, 3), value, np.uint8) for value in (40, 200))
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encode(
        first, kind, save_all=True, append_images=[Image.fromarray(second)], **options
    )
    np.testing.assert_array_equal(pillow_images.decode(content, 3), first)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("LA", 1), ("P", 3), ("RGBA", 3)]
)
def test_the_header_says_whether_an_image_has_colour(mode, channels):
    content = io.BytesIO(encode(_mode(mode), "PNG"))
    assert pillow_images.read_header(content) == (8, 8, channels)


def test_16_bits_of_grey_have_no_colour():
    content = encode(np.zeros((4, 6), np.uint16), "PNG")
    assert pillow_images.read_header(io.BytesIO(content)) == (4, 6, 1)


def _bomb(side: int) -> bytes:
    return f"P5 {side} {side} 255 ".encode() + bytes(64)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"no image at all", "its content is of no known format"),
        (_bomb(20_000), "exceeds limit"),
        # Fewer pixels than the limit.
        (_bomb(10_000), "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "its content is of no known format"),
    ],
)
def test_what_is_no_image_has_a_reason(content, reason):
    with pytest.raises(pillow_images.UnreadableImageError, match=reason):
        pillow_images.decode(content, 3)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "P"),
        ("PNG", "LA"),
        ("JPEG", "CMYK"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("WEBP", "RGB"),
        ("PPM", "RGB"),
    ],
)
def test_a_file_that_was_cut_is_unreadable(kind, mode):
    content = encode(_mode(mode), kind)
    for length in (len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(pillow_images.UnreadableImageError):
            pillow_images.decode(content[:length], 3)


def test_a_flipped_bit_of_a_png_is_found():
    content = bytearray(encode(_mode("RGBA"), "PNG"))
    content[content.index(b"IDAT") + 20] ^= 4
    with pytest.raises(pillow_images.UnreadableImageError):
        pillow_images.decode(bytes(content), 3)


def test_a_tiff_file_that_lacks_strips_is_unreadable():
    content = bytearray(encode(PICTURE, "TIFF"))
    # The tag of the height with its type, count and value.
    at = re.search(rb"\x01\x01[\x03\x04]\x00\x01\x00\x00\x00\x08", content).start()
    content[at + 8] = 9
    with pytest.raises(pillow_images.UnreadableImageError, match="has 8 of 9 rows"):
        pillow_images.decode(bytes(content), 3)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "P"), ("JPEG", "CMYK"), ("GIF", "P"), ("BMP", "P"), ("WEBP", "RGB")],
)
def test_damaged_bytes_raise_nothing_else(kind, mode):
    content, rng = encode(_mode(mode), kind), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 3):
            damaged[at] = rng.integers(256)
        del damaged[int(rng.integers(len(content) // 2, 2 * len(content))) :]
        with contextlib.suppress(pillow_images.UnreadableImageError):
            assert pillow_images.decode(bytes(damaged), 3).shape[-1] == 3


def test_suffixes():
    names = ".png .jpg .jfif .pjpeg .webp .tif .gif .ppm .pgm .bmp .avif .jp2 .qoi"
    assert set(names.split()) <= pillow_images.suffixes()
    assert not {".h5", ".eps", ".mpg", ".pdf", ".txt"} & pillow_images.suffixes()
