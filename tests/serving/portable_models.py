"""A tiny network, and generators of one weight, which convert in a moment."""

import dataclasses
import itertools
import json

import tensorflow as tf

from tests.networks import TINY
from tf_student.serving.class_signatures import ServedClasses
from tf_student.serving.metadata import Metadata
from tf_student.serving.portable import Layout
from tf_student.serving.signatures import ServedModel

# A network that doubles images by repetition, and larger ones by a transposed
# convolution.
NETWORK = dataclasses.replace(TINY, image_size=16, width_multipliers=(1, 1, 2))
SHAPE = (2, 2, 3)
CLASSES = 5
ABOUT = Metadata(
    name="tiny",
    network="student",
    preset="",
    network_calls=1,
    image_shape=SHAPE,
    max_count=4,
    parameters=1,
    weights="ema",
    dtype="float32",
    ops="stock",
    fingerprint="f" * 64,
    teacher="",
    pairs="",
    tf_student="1",
    tensorflow="2",
)


def scaled(scale: float = 0.5) -> ServedModel:
    """Noise times a weight."""
    weight = tf.Variable(scale)
    return ServedModel(lambda z: weight * z, [weight], SHAPE, 4)


def convolved() -> ServedModel:
    """Convolutions whose kernels take most of a file."""
    sizes = [3, 64, 64, 3]
    kernels = [
        tf.Variable(tf.random.stateless_normal([3, 3, n, m], [n, m]) / (9 * n) ** 0.5)
        for n, m in itertools.pairwise(sizes)
    ]

    def draw(z):
        for kernel in kernels:
            z = tf.nn.conv2d(z, kernel, 1, "SAME")
        return tf.tanh(z)

    return ServedModel(draw, kernels, SHAPE, 4)


def unusual() -> ServedModel:
    """A generator with an operation that no other format has."""

    def draw(z):
        return tf.math.betainc(2.0, 3.0, tf.sigmoid(z))

    return ServedModel(draw, [], SHAPE, 4)


def labelled() -> ServedClasses:
    """Images of one value, a row of a table for each label."""
    table = tf.Variable(tf.linspace(-1.0, 1.0, CLASSES))

    def draw(inputs):
        noise, labels = inputs
        return 0.0 * noise + tf.gather(table, labels)[:, None, None, None]

    return ServedClasses(draw, [table], SHAPE, 4, CLASSES)


def layout(batch: int = 0, **changes) -> Layout:
    """The layout of a file of these models."""
    return Layout(dataclasses.replace(ABOUT, **changes), batch)


def described(text: str) -> Metadata:
    """The metadata in a file, which must have the fields of a SavedModel's."""
    values = json.loads(text)
    shape = tuple(values.pop("image_shape"))
    known = {field.name for field in dataclasses.fields(Metadata)}
    only = {name: value for name, value in values.items() if name in known}
    return Metadata(**only, image_shape=shape)
