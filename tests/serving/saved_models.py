"""SavedModels of a few lines with the signatures of an export."""

import tensorflow as tf

SHAPE = (8, 8, 3)


class Drawn(tf.Module):
    """Images are the noise of a seed, made a little darker `calls` times."""

    def __init__(self, calls: int, output: str):
        super().__init__()
        self.gain = tf.Variable(40.0)
        self._calls, self._output = calls, output

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32, "noise")])
    def from_noise(self, noise):
        for _ in range(self._calls):
            noise -= 0.1
        return {
            "images": tf.cast(
                tf.clip_by_value(noise * self.gain + 128, 0, 255), "uint8"
            )
        }

    def _noise(self, seed, indices):
        return tf.map_fn(
            lambda index: tf.random.stateless_normal(
                SHAPE, [seed, index], alg="philox"
            ),
            tf.cast(indices, tf.int64),
            fn_output_signature=tf.float32,
        )

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int64, "seed"),
            tf.TensorSpec([], tf.int32, "count"),
        ]
    )
    def sample(self, seed, count):
        with tf.control_dependencies(
            [tf.debugging.assert_positive(count, "count must be positive")]
        ):
            return self.from_noise(self._noise(seed, tf.range(count)))

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int64, "seed"),
            tf.TensorSpec([], tf.int32, "count"),
        ]
    )
    def png(self, seed, count):
        images = self.sample(seed, count)["images"]
        files = tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)
        return {self._output: files}

    @tf.function(
        input_signature=[
            tf.TensorSpec([], tf.int64, "seed_a"),
            tf.TensorSpec([], tf.int64, "seed_b"),
            tf.TensorSpec([], tf.int32, "steps"),
        ]
    )
    def interpolate(self, seed_a, seed_b, steps):
        a, b = self._noise(seed_a, [0]), self._noise(seed_b, [0])
        t = tf.reshape(tf.linspace(0.0, 1.0, steps), [-1, 1, 1, 1])
        return self.from_noise((1 - t) * a + t * b)


def write(directory, calls: int = 1, output: str = "png") -> str:
    """Writes one; `output` names the PNGs."""
    module = Drawn(calls, output)
    signatures = {
        "serving_default": module.from_noise,
        "sample": module.sample,
        "png": module.png,
        "interpolate": module.interpolate,
    }
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return str(directory)
