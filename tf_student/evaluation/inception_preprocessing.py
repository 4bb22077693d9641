"""How images become the input of an Inception network.

Each function takes uint8 images `[n, height, width, channels]` with 1 or 3 channels and
returns float32 `[n, 299, 299, 3]` in about [-1, 1].
"""

import tensorflow as tf

SIZE = 299


def tfgan(images: tf.Tensor) -> tf.Tensor:
    """TF-GAN's preprocessing: bilinear with half-pixel centres, x / 127.5 - 1."""
    images = tf.image.resize(images, [SIZE, SIZE])
    images = (images - 127.5) / 127.5
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images


def tf1(images: tf.Tensor) -> tf.Tensor:
    """The original FID's preprocessing: TensorFlow 1's resize, (x - 128) / 128.

    A pixel of the result is interpolated at its index times the scale, without half a
    pixel added, as in torch-fidelity.
    """
    # tf.image.resize always adds half a pixel.
    resized = tf.raw_ops.ResizeBilinear(images=_coloured(images), size=[SIZE, SIZE])
    return (resized - 128) / 128


def pytorch_fid(images: tf.Tensor) -> tf.Tensor:
    """pytorch-fid's preprocessing: bilinear with half-pixel centres, x / 127.5 - 1."""
    return tf.image.resize(_coloured(images), [SIZE, SIZE]) / 127.5 - 1


def _coloured(images: tf.Tensor) -> tf.Tensor:
    images = tf.cast(images, tf.float32)
    return tf.image.grayscale_to_rgb(images) if images.shape[-1] == 1 else images


# By the option `resize`.
BY_NAME = {"tf1": tf1, "pytorch_fid": pytorch_fid}
