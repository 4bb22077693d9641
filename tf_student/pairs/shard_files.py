"""What is in the file of a shard: whether its pairs are those of the plan."""

import struct

import tensorflow as tf
from google.protobuf.message import DecodeError

from tf_student.pairs.shards import Shard

# A record begins with its length and a checksum of it.
_HEAD = struct.Struct("<QI")


def is_whole(path: str, shard: Shard) -> bool:
    """Whether a file holds all pairs of a shard, and no others.

    A power failure or a copy that was interrupted leaves a part of a file.
    """
    found = 0
    try:
        for record in tf.data.TFRecordDataset(path):
            if _index(record.numpy()) != shard.first_index + found:
                return False
            found += 1
    except tf.errors.OpError:
        return False
    return found == shard.pairs


def first_index(path: str) -> int | None:
    """The noise index of the first pair in a file; None if it cannot be read.

    It tells the shards of a set apart, which often have the same size.
    """
    with tf.io.gfile.GFile(path, "rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        length, _ = _HEAD.unpack(head)
        # A damaged length must not take memory.
        if length > tf.io.gfile.stat(path).length:
            return None
        return _index(file.read(length))


def _index(record: bytes) -> int | None:
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    if "index" not in features:
        return None
    values = features["index"].int64_list.value
    return values[0] if len(values) == 1 else None
