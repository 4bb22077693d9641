import numpy as np
import pytest
import tensorflow as tf

from tf_student.models.resampling import Downsample, Upsample


def test_downsample_pads_only_the_bottom_and_the_right():
    layer = Downsample()
    x = np.zeros((1, 4, 4, 1), np.float32)
    layer(x)
    # A kernel that sees only its first corner picks the even rows and columns.
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 0] = 1
    layer.conv.kernel.assign(kernel)
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    assert layer(x).numpy().ravel().tolist() == [0, 2, 8, 10]
    layer.conv.kernel.assign(kernel[::-1, ::-1])
    assert layer(x).numpy().ravel().tolist() == [10, 0, 0, 0]


def test_upsample_repeats_pixels_before_its_convolution():
    layer = Upsample()
    x = np.array([[1, 2], [3, 4]], np.float32).reshape(1, 2, 2, 1)
    layer(x)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1] = 1
    layer.conv.kernel.assign(kernel)
    assert layer(x).numpy()[0, :, :, 0].tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def repeated_then_convolved(layer, x):
    kernel = tf.convert_to_tensor(layer.conv.kernel)
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    return tf.nn.conv2d(large, kernel, 1, "SAME") + layer.conv.bias


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("size", [(4, 4), (8, 8), (16, 5)])
def test_upsample_and_its_gradients_are_those_of_repeated_pixels(size, xla):
    layer, rng = Upsample(), np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(3, *size, 6)), tf.float32)
    layer(x)
    layer.conv.bias.assign(rng.normal(size=6))
    up = tf.constant(rng.normal(size=(3, 2 * size[0], 2 * size[1], 6)), tf.float32)

    @tf.function(jit_compile=xla)
    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        variables = layer.trainable_variables
        return [y, *tape.gradient(y, [x, *variables], output_gradients=up)]

    expected = gradients(lambda x: repeated_then_convolved(layer, x))
    for actual, value in zip(gradients(layer), expected, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-5, atol=2e-5)


def _distance(one, other):
    one, other = (tf.cast(values, tf.float32) for values in (one, other))
    return float(tf.reduce_mean((one - other) ** 2))


def _rounding_of_sums(x, kernel):
    """What bfloat16 sums of a transposed convolution add to its rounded result.

    CPUs without AVX-512 do not sum in float32.
    """
    taps = tf.transpose(kernel, [0, 1, 3, 2])
    for axis in (0, 1):
        before, at, after = tf.split(taps, 3, axis)
        taps = tf.concat([after, at + after, before + at, before], axis)
    size = [x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]]
    of_floats = tf.nn.conv2d_transpose(
        tf.cast(x, tf.float32), tf.cast(taps, tf.float32), size, strides=2
    )
    rounded = _distance(tf.cast(of_floats, x.dtype), of_floats)
    summed = _distance(tf.nn.conv2d_transpose(x, taps, size, strides=2), of_floats)
    return max(0.0, summed - rounded)


def test_upsample_in_two_bytes_rounds_taps_once_more_and_no_worse():
    x = tf.random.stateless_normal([2, 8, 8, 16], [0, 1])
    layer, half = Upsample(), Upsample(dtype="mixed_bfloat16")
    exact = layer(x)
    half(x)
    half.conv.kernel.assign(layer.conv.kernel)
    x, kernel = (tf.cast(v, tf.bfloat16) for v in (x, layer.conv.kernel))
    large = tf.repeat(tf.repeat(x, 2, axis=1), 2, axis=2)
    other = tf.nn.conv2d(large, kernel, 1, "SAME")
    ours, theirs = _distance(half(x), exact), _distance(other, exact)
    # 1.4 to 1.6 times, for sums of taps are rounded too.
    assert ours - _rounding_of_sums(x, kernel) < 1.8 * theirs


def test_upsample_knows_its_shape_whatever_the_batch():
    layer = Upsample()
    layer.build((None, 8, 8, 4))
    call = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 8, 8, 4]))
    assert call.output_shapes.as_list() == [None, 16, 16, 4]


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(Downsample(), (None, 2, 2, 8)), (Upsample(), (None, 8, 8, 8))],
)
def test_output_shapes_are_known_before_the_call(layer, shape):
    x = np.ones((2, 4, 4, 8), np.float32)
    assert layer.compute_output_shape((None, 4, 4, 8)) == shape
    assert layer(x).shape[1:] == shape[1:]
