"""Decodes image files in tf.data, by their content and never by their suffix.

TensorFlow decodes plain PNG and JPEG files, in parallel threads and with the same
pixels as Pillow; Pillow decodes all others. TensorFlow ignores the orientation of EXIF
and the palette of BMP files, and reads fewer formats.
"""

import tensorflow as tf

from tf_student.data import pillow_images

_JPEG = b"\xff\xd8\xff"
# The first chunk of PNG: 8 bits; grey or RGB, with alpha or without. \C is any byte.
_PLAIN_PNG = r"\CPNG\r\n\x1a\n\C{{4}}IHDR\C{{8}}\x08[{kinds}]"
_PNG_START = 26
_PNG_KINDS = {1: r"\x00\x04", 3: r"\x00\x02\x04\x06"}
# The components of a JPEG image that becomes one of 1 or 3 channels.
_JPEG_COMPONENTS = {1: [1], 3: [1, 3]}
# An orientation of 2 to 8: the tag 0x0112 of EXIF in either byte order, in XMP, or in
# ImageMagick's text. It may be elsewhere by chance; then Pillow finds none.
_TURNED = (
    r"\C*(\x12\x01\C\x00\C{4}[\x02-\x08]|\x01\x12\x00\C{5}\x00{0,3}[\x02-\x08]|"
    r'tiff:Orientation(="|>)[2-8]|profile type exif)\C*'
)


# Outside a graph, numpy_function would lose zeros at the end of a file.
@tf.function(autograph=False)
def decode(content: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes an image file as `pillow_images.decode` does.

    Args:
        content: of the file, a string scalar.
        channels: 1, 3 or 4.

    Returns:
        uint8 `[height, width, channels]`.

    Raises:
        tf.errors.InvalidArgumentError: if the file is damaged or no image.
    """

    def by_pillow() -> tf.Tensor:
        return tf.numpy_function(
            lambda raw: pillow_images.decode(raw, channels), [content], tf.uint8
        )

    if channels in _PNG_KINDS:
        upright = ~tf.strings.regex_full_match(content, _TURNED)
        # INTEGER_ACCURATE is Pillow's method; TensorFlow's default is less accurate.
        image = tf.case(
            [
                (
                    upright & _is_plain_png(content, channels),
                    lambda: tf.io.decode_png(content, channels),
                ),
                (
                    upright & _is_plain_jpeg(content, channels),
                    lambda: tf.io.decode_jpeg(
                        content, channels, dct_method="INTEGER_ACCURATE"
                    ),
                ),
            ],
            default=by_pillow,
        )
    else:
        image = by_pillow()
    return tf.ensure_shape(image, [None, None, channels])


def _is_plain_png(content: tf.Tensor, channels: int) -> tf.Tensor:
    pattern = _PLAIN_PNG.format(kinds=_PNG_KINDS[channels])
    return tf.strings.regex_full_match(
        tf.strings.substr(content, 0, _PNG_START), pattern
    )


def _is_plain_jpeg(content: tf.Tensor, channels: int) -> tf.Tensor:
    def has_components() -> tf.Tensor:
        own = tf.io.extract_jpeg_shape(content)[-1]
        return tf.reduce_any(own == _JPEG_COMPONENTS[channels])

    is_jpeg = tf.strings.substr(content, 0, len(_JPEG)) == _JPEG
    return tf.cond(is_jpeg, has_components, lambda: tf.constant(False))
