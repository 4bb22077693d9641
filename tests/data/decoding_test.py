import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.image_files import encode, picture
from tf_student.data import decoding, pillow_images

# Noise shows the least difference between decoders.
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 4)).astype(np.uint8)


def _mode(mode: str) -> Image.Image:
    return Image.fromarray(NOISE).convert(mode)


def _exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with one tag, little endian or big endian."""
    start = {"<": b"II", ">": b"MM"}[order]
    tag = struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"Exif\x00\x00" + start + tag


def _xmp(orientation: int) -> bytes:
    return f'<rdf:Description tiff:Orientation="{orientation}"/>'.encode()


def _jpeg(**options) -> bytes:
    return encode(_mode("RGB"), "JPEG", **options)


# By name: the content, and whether TensorFlow decodes it for 3 channels and for 1.
FILES = {
    "png-rgb": (encode(_mode("RGB"), "PNG"), True, False),
    "png-rgba": (encode(Image.fromarray(NOISE), "PNG"), True, False),
    "png-grey": (encode(_mode("L"), "PNG"), True, True),
    "png-grey-alpha": (encode(_mode("LA"), "PNG"), True, True),
    "png-one-transparent-colour": (
        encode(_mode("RGB"), "PNG", transparency=(1, 2, 3)),
        True,
        False,
    ),
    "png-palette": (encode(_mode("P"), "PNG"), False, False),
    "png-1-bit": (encode(_mode("1"), "PNG"), False, False),
    "png-16-bit": (encode(NOISE[..., 0].astype(np.uint16) * 257, "PNG"), False, False),
    "png-turned": (encode(_mode("RGB"), "PNG", exif=_exif(6)), False, False),
    "png-upright": (encode(_mode("RGB"), "PNG", exif=_exif(1)), True, False),
    "jpeg": (_jpeg(), True, False),
    "jpeg-smooth": (encode(picture(40, 24), "JPEG"), True, False),
    "jpeg-whole-colour": (_jpeg(subsampling=0), True, False),
    "jpeg-progressive": (_jpeg(progressive=True), True, False),
    "jpeg-low-quality": (_jpeg(quality=5), True, False),
    "jpeg-rgb": (_jpeg(keep_rgb=True), True, False),
    "jpeg-grey": (encode(_mode("L"), "JPEG"), True, True),
    "jpeg-cmyk": (encode(_mode("CMYK"), "JPEG"), False, False),
    "jpeg-turned": (_jpeg(exif=_exif(6)), False, False),
    "jpeg-turned-big-endian": (_jpeg(exif=_exif(3, ">")), False, False),
    "jpeg-turned-by-xmp": (_jpeg(xmp=_xmp(8)), False, False),
    "jpeg-upright": (_jpeg(exif=_exif(1)), True, False),
    "jpeg-upright-big-endian": (_jpeg(exif=_exif(1, ">")), True, False),
    "jpeg-upright-by-xmp": (_jpeg(xmp=_xmp(1)), True, False),
    "bmp": (encode(_mode("RGB"), "BMP"), False, False),
    "bmp-palette": (encode(_mode("P"), "BMP"), False, False),
    "gif": (encode(_mode("P"), "GIF"), False, False),
    "webp": (encode(_mode("RGB"), "WEBP"), False, False),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", FILES)
def test_the_pixels_are_those_of_pillow(name, channels, monkeypatch):
    content, *by_tensorflow = FILES[name]
    expected = pillow_images.decode(content, channels)
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return expected

    monkeypatch.setattr(pillow_images, "decode", counted)
    image = decoding.decode(tf.constant(content), channels).numpy()
    np.testing.assert_array_equal(image, expected)
    quick = channels < 4 and by_tensorflow[0 if channels == 3 else 1]
    assert len(calls) == (0 if quick else 1)


def test_turned_pictures_are_upright():
    stored = pillow_images.decode(FILES["jpeg"][0], 3)
    turned = decoding.decode(tf.constant(FILES["jpeg-turned"][0]), 3)
    np.testing.assert_array_equal(turned, np.rot90(stored, -1))
    by_xmp = decoding.decode(tf.constant(FILES["jpeg-turned-by-xmp"][0]), 3)
    np.testing.assert_array_equal(by_xmp, np.rot90(stored))


@pytest.mark.parametrize("name", ["png-rgb", "png-palette", "jpeg", "gif"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.9])
def test_a_file_that_was_cut_is_an_error(name, part):
    content = FILES[name][0]
    cut = content[: int(len(content) * part)]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoding.decode(tf.constant(cut), 3)


def test_many_files_are_decoded_in_a_dataset():
    names = ["png-rgb", "png-palette", "jpeg", "bmp", "jpeg-cmyk", "webp"] * 5
    contents = [FILES[name][0] for name in names]
    dataset = tf.data.Dataset.from_tensor_slices(contents)
    decoded = dataset.map(lambda content: decoding.decode(content, 3), 4)
    assert decoded.element_spec.shape == [None, None, 3]
    for content, image in zip(contents, decoded.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(image, pillow_images.decode(content, 3))
