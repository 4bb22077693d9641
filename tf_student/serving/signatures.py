"""The signatures of an exported model, as functions of TensorFlow operations."""

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import interpolation, noise
from tf_student.diffusion.inputs import Inputs

SEED = tf.TensorSpec([], tf.int64, "seed")
_COUNT = tf.TensorSpec([], tf.int32, "count")
# Name of the input of a model with classes.
LABELS = "labels"


class ServedModel(tf.Module):
    """A generator without classes, with its signatures.

    The signatures share one copy of the network.

    Seeds are int64 scalars of at least 0; counts are int32 scalars from 1 to `limit`.
    Other values are an InvalidArgument status whose message has the expected ones.

    Args:
        generate: function from float32 noise `[n, *shape]` to float images of the same
            shape.
        variables: the variables of `generate`, and the only ones that are stored.
        shape: `(height, width, channels)` of an image.
        limit: largest number of images in a request.
    """

    def __init__(
        self,
        generate: Callable[[Inputs], tf.Tensor],
        variables: Sequence[tf.Variable],
        shape: tuple[int, int, int],
        limit: int,
    ):
        super().__init__()
        self.weights = list(variables)
        self._shape, self._limit = tuple(shape), limit
        # Wrapped in a function, because a layer as an attribute would be stored too.
        self.generate = lambda inputs: generate(inputs)

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """New functions by name; tracing them uses the currently selected operations.

        - `serving_default`: float32 `noise` `[n, *shape]` to uint8 `images`.
        - `sample`: `seed`, `count` to `images`, the same as `tf-student sample`.
        - `interpolate`: `seed_a`, `seed_b` and int32 `steps` of at least 2 to `images`,
          from the first image of one seed to that of the other, both included.
        - `png`: `seed`, `count` to string `png` `[count]`; only for 1 to 4 channels.
        - `png_json`: the same as `png`, but the output is named `png_bytes`: the ending
          makes a server encode the bytes in base64, because JSON cannot hold them.
        """
        function = functools.partial(tf.function, autograph=False)
        spec = tf.TensorSpec
        z = spec([None, *self._shape], tf.float32, "noise")
        self._uint8_images = function(
            lambda z: images.to_uint8(self.generate(z)), input_signature=[z]
        )
        ends = [spec([], tf.int64, "seed_a"), spec([], tf.int64, "seed_b")]
        steps = spec([], tf.int32, "steps")
        functions = {
            "serving_default": function(self._from_noise, input_signature=[z]),
            "sample": function(self._sample, input_signature=[SEED, _COUNT]),
            "interpolate": function(self._interpolate, input_signature=[*ends, steps]),
        }
        if self._shape[-1] in (1, 2, 3, 4):
            for name, output in (("png", "png"), ("png_json", "png_bytes")):
                functions[name] = function(
                    self._png(output), input_signature=[SEED, _COUNT]
                )
        return functions

    def _from_noise(self, noise):
        # A server does not check the shape of a client's noise.
        z = tf.ensure_shape(noise, [None, *self._shape])
        must = f"`noise` must have 1 to {self._limit} rows."
        with tf.control_dependencies([within(tf.shape(z)[0], 1, self._limit, must)]):
            return {"images": self._uint8_images(tf.identity(z))}

    def _sample(self, seed, count):
        return {"images": self._images(seed, count)}

    def _png(self, output: str):
        def png(seed, count):
            return {output: encode_pngs(self._images(seed, count))}

        return png

    def _interpolate(self, seed_a, seed_b, steps):
        return {"images": self._uint8_images(self._between(seed_a, seed_b, steps))}

    def _between(self, seed_a, seed_b, steps):
        """The noise from the first image of one seed to that of another."""
        steps = scalar(steps, 2, self._limit, "steps")
        ends = [self._noise(seed_a, 1, "seed_a"), self._noise(seed_b, 1, "seed_b")]
        weights = tf.linspace(0.0, 1.0, steps)
        return interpolation.slerp(ends[0][0], ends[1][0], weights)

    def _images(self, seed, count):
        count = scalar(count, 1, self._limit, "count")
        return self._uint8_images(self._noise(seed, count, "seed"))

    def _noise(self, seed, count, name):
        seed = scalar(seed, 0, tf.int64.max, name)
        indices = noise.EVALUATION + tf.range(tf.cast(count, tf.int64))
        return noise.normal(seed, indices, self._shape)


def encode_pngs(images):
    """The images as PNG files, string `[n]`."""
    return tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)


def scalar(value, low, high, name):
    """The value, which fails when it runs unless it is a scalar in the range."""
    value = tf.ensure_shape(value, [])
    must = f"`{name}` must be {low} to {high}."
    with tf.control_dependencies([within(value, low, high, must)]):
        return tf.identity(value)


def within(value, low, high, must):
    """An assertion that the value is in the range; `must` starts its message."""
    low, high = tf.cast(low, value.dtype), tf.cast(high, value.dtype)
    fits = (low <= value) & (value <= high)
    return tf.debugging.Assert(fits, [f"{must} Received:", value])
