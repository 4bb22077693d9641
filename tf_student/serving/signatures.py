"""What a served model answers, as functions of stock TensorFlow operations."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import interpolation, noise

_SEED = tf.TensorSpec([], tf.int64, "seed")
_COUNT = tf.TensorSpec([], tf.int32, "count")


class ServedModel(tf.Module):
    """A generator behind its signatures; the network is in the graph once.

    Seeds are int64 scalars from 0 on and counts int32 scalars from 1 to `limit`;
    whatever else comes is an InvalidArgument status that names what was expected.

    Args:
        generate: from float32 noise `[n, *shape]` to float images of that shape.
        variables: that `generate` reads; nothing else of it is stored.
        shape: `(height, width, channels)` of an image.
        limit: images of one request at most.
    """

    def __init__(
        self,
        generate: Callable[[tf.Tensor], tf.Tensor],
        variables: Sequence[tf.Variable],
        shape: tuple[int, int, int],
        limit: int,
    ):
        super().__init__()
        self.weights = list(variables)
        self._shape, self._limit = tuple(shape), limit
        # A function, for a layer would be stored beside the variables.
        self._network = lambda z: generate(z)

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """The functions by name, made anew: whoever traces them chooses the operations.

        - `serving_default`: float32 `noise` `[n, *shape]` to uint8 `images`.
        - `sample`: `seed`, `count` to `images`, those that `tf-student sample` draws.
        - `interpolate`: `seed_a`, `seed_b` and int32 `steps`, 2 or more, to `images`,
          from the first image of one seed to the first of the other, both included.
        - `png`: `seed`, `count` to string `png` `[count]`, where PNG has the channels.
        - `png_json`: the same as `png_bytes`, an ending that makes a server write
          base64 into JSON, which holds no bytes.
        """
        function, spec = tf.function, tf.TensorSpec
        z = spec([None, *self._shape], tf.float32, "noise")
        self._generate = function(
            lambda z: images.to_uint8(self._network(z)), input_signature=[z]
        )
        found = {
            "serving_default": function(self._from_noise, input_signature=[z]),
            "sample": function(self._sample, input_signature=[_SEED, _COUNT]),
            "interpolate": function(
                self._interpolate,
                input_signature=[
                    spec([], tf.int64, "seed_a"),
                    spec([], tf.int64, "seed_b"),
                    spec([], tf.int32, "steps"),
                ],
            ),
        }
        if self._shape[-1] in (1, 2, 3, 4):
            png = {
                name: function(self._png(output), input_signature=[_SEED, _COUNT])
                for name, output in (("png", "png"), ("png_json", "png_bytes"))
            }
            found |= png
        return found

    def _from_noise(self, noise):
        # What a client sends is not what the graph was told it would.
        z = tf.ensure_shape(noise, [None, *self._shape])
        must = f"`noise` must have 1 to {self._limit} rows."
        with tf.control_dependencies([_within(tf.shape(z)[0], 1, self._limit, must)]):
            return {"images": self._generate(tf.identity(z))}

    def _sample(self, seed, count):
        return {"images": self._images(seed, count)}

    def _png(self, output: str):
        def png(seed, count):
            pictures = self._images(seed, count)
            coded = tf.map_fn(tf.io.encode_png, pictures, fn_output_signature=tf.string)
            return {output: coded}

        return png

    def _interpolate(self, seed_a, seed_b, steps):
        steps = _scalar(steps, 2, self._limit, "steps")
        ends = [self._noise(seed_a, 1, "seed_a"), self._noise(seed_b, 1, "seed_b")]
        walk = interpolation.slerp(ends[0][0], ends[1][0], tf.linspace(0.0, 1.0, steps))
        return {"images": self._generate(walk)}

    def _images(self, seed, count):
        count = _scalar(count, 1, self._limit, "count")
        return self._generate(self._noise(seed, count, "seed"))

    def _noise(self, seed, count, name):
        seed = _scalar(seed, 0, tf.int64.max, name)
        indices = noise.EVALUATION + tf.range(tf.cast(count, tf.int64))
        return noise.normal(seed, indices, self._shape)


def _scalar(value, low, high, name):
    """The value, once it is known to be a scalar from `low` to `high`."""
    value = tf.ensure_shape(value, [])
    must = f"`{name}` must be {low} to {high}."
    with tf.control_dependencies([_within(value, low, high, must)]):
        return tf.identity(value)


def _within(value, low, high, must):
    """Fails when it runs with another value; `must` says what was expected."""
    low, high = tf.constant(low, value.dtype), tf.constant(high, value.dtype)
    fits = (low <= value) & (value <= high)
    return tf.debugging.Assert(fits, [f"{must} Received:", value])
