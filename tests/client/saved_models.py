"""Small SavedModels with the signatures of an export."""

import tensorflow as tf

SHAPE = (8, 8, 3)


def _scalars(**dtypes):
    return [tf.TensorSpec([], dtype, name) for name, dtype in dtypes.items()]


def signatures(module, shape, calls):
    """The signatures; images are noise that is darkened slightly `calls` times."""
    gain = module.gain

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, "noise")])
    def from_noise(noise):
        for _ in range(calls):
            noise -= 0.1
        images = tf.clip_by_value(noise * gain + 128, 0, 255)
        return {"images": tf.cast(images, tf.uint8)}

    def draw(seed, indices):
        return tf.map_fn(
            lambda i: tf.random.stateless_normal(shape, [seed, i], alg="philox"),
            tf.cast(indices, tf.int64),
            fn_output_signature=tf.float32,
        )

    @tf.function(input_signature=_scalars(seed=tf.int64, count=tf.int32))
    def sample(seed, count):
        positive = tf.debugging.assert_positive(count, "count must be positive")
        with tf.control_dependencies([positive]):
            return from_noise(draw(seed, tf.range(count)))

    def png(output):
        @tf.function(input_signature=_scalars(seed=tf.int64, count=tf.int32))
        def png(seed, count):
            images = sample(seed, count)["images"]
            coded = tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)
            return {output: coded}

        return png

    @tf.function(
        input_signature=_scalars(seed_a=tf.int64, seed_b=tf.int64, steps=tf.int32)
    )
    def interpolate(seed_a, seed_b, steps):
        t = tf.reshape(tf.linspace(0.0, 1.0, steps), [-1, 1, 1, 1])
        return from_noise((1 - t) * draw(seed_a, [0]) + t * draw(seed_b, [0]))

    return {
        "serving_default": from_noise,
        "sample": sample,
        "png": png("png"),
        "png_json": png("png_bytes"),
        "interpolate": interpolate,
    }


def write(directory, *, shape=SHAPE, calls=1):
    """Writes a model."""
    module = tf.Module()
    module.gain = tf.Variable(40.0)
    functions = signatures(module, shape, calls)
    module.functions = functions
    tf.saved_model.save(module, str(directory), signatures=functions)
    return str(directory)
