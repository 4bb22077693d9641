"""A pair as a serialized `tf.train.Example`."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_student.pairs.manifests import Manifest


def encode(
    index: int,
    image: np.ndarray,
    z: np.ndarray | None,
    encoding: str,
    label: int | None = None,
) -> bytes:
    """Serializes a pair. Equal pairs give equal bytes.

    Args:
        index: index of the noise within its seed.
        image: uint8 `[height, width, channels]`.
        z: noise to store, float32 `[height, width, channels]`, or None.
        encoding: `raw` or `png`.
        label: the class of the image, for a teacher with classes.

    Returns:
        A `tf.train.Example` with the features `index`, `image` and, if they are given,
        `noise` and `label`.
    """
    data = image.tobytes() if encoding == "raw" else tf.io.encode_png(image).numpy()
    feature = {
        "index": tf.train.Feature(int64_list=tf.train.Int64List(value=[index])),
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
    }
    if z is not None:
        noise = tf.train.BytesList(value=[z.astype("<f4").tobytes()])
        feature["noise"] = tf.train.Feature(bytes_list=noise)
    if label is not None:
        value = tf.train.Int64List(value=[label])
        feature["label"] = tf.train.Feature(int64_list=value)
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # The order of a protocol buffer's map fields is otherwise undefined.
    return example.SerializeToString(deterministic=True)


def decode(record: tf.Tensor, manifest: Manifest) -> dict[str, Any]:
    """Parses a record of `encode`.

    Args:
        record: string scalar.
        manifest: manifest of the set, which has the image's shape and encoding.

    Returns:
        `index` int64, `image` uint8 `[height, width, channels]` and, if they are
        stored, `noise` float32 of that shape and `label` int32.
    """
    schema = {
        "index": tf.io.FixedLenFeature([], tf.int64),
        "image": tf.io.FixedLenFeature([], tf.string),
    }
    if manifest.pairs.store_noise:
        schema["noise"] = tf.io.FixedLenFeature([], tf.string)
    if manifest.classes:
        schema["label"] = tf.io.FixedLenFeature([], tf.int64)
    pair = tf.io.parse_single_example(record, schema)
    if manifest.classes:
        pair["label"] = tf.cast(pair["label"], tf.int32)
    shape = manifest.image_shape
    if manifest.pairs.encoding == "raw":
        pair["image"] = tf.reshape(tf.io.decode_raw(pair["image"], tf.uint8), shape)
    else:
        image = tf.io.decode_png(pair["image"], channels=shape[-1])
        pair["image"] = tf.ensure_shape(image, shape)
    if manifest.pairs.store_noise:
        pair["noise"] = tf.reshape(tf.io.decode_raw(pair["noise"], tf.float32), shape)
    return pair
