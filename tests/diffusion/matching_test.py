import numpy as np
import tensorflow as tf

from tf_student.diffusion import matching


def _images(seed, shape=(3, 4, 4, 2)):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def _weights(x, f):
    return 1 / np.abs(x - f).mean(axis=(1, 2, 3), keepdims=True)


def test_sid_is_the_formula():
    x, f, g = (_images(i).numpy() for i in range(3))
    expected = _weights(x, f) * (f - g) * ((f - x) - 1.2 * (f - g))
    np.testing.assert_allclose(
        matching.sid_loss(x, f, g, alpha=1.2), expected.mean(axis=(1, 2, 3)), rtol=1e-5
    )


def test_gradient_of_sid_flows_through_both_denoisers():
    x = _images(0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(matching.sid_loss(x, 0.5 * x, 0.25 * x, alpha=0.0))
    # w (f - g) (f - x) = -w x^2 / 8, with w a constant.
    expected = _weights(x.numpy(), 0.5 * x.numpy()) * -x.numpy() / 4 / 32
    np.testing.assert_allclose(tape.gradient(loss, x), expected, rtol=1e-5)


def test_gradient_of_dmd_is_the_weighted_difference():
    x, f, g = (_images(i) for i in range(3))
    with tf.GradientTape() as tape:
        tape.watch([x, f, g])
        loss = tf.reduce_sum(matching.dmd_loss(x, f, g))
    by_x, by_f, by_g = tape.gradient(loss, [x, f, g])
    expected = _weights(x.numpy(), f.numpy()) * (g - f).numpy() / 32
    np.testing.assert_allclose(by_x, expected, rtol=1e-5)
    assert by_f is None and by_g is None


def test_denoisers_that_agree_give_no_loss():
    x, f = _images(0), _images(1)
    for loss in (matching.sid_loss, matching.dmd_loss, matching.score_gap):
        np.testing.assert_array_equal(loss(x, f, f), 0)


def test_a_perfect_estimate_does_not_divide_by_zero():
    x, g = _images(0), _images(1)
    for loss in (matching.sid_loss, matching.dmd_loss, matching.score_gap):
        assert np.isfinite(loss(x, x, g)).all()


def test_losses_descend_to_the_distribution_of_the_data():
    """Images are a scaled normal; the optimal denoisers of normals are known."""
    abar = 0.5

    def denoiser(std):
        # E[x | a x + s eps] of images with this standard deviation.
        shrink = std**2 * abar**0.5 / (std**2 * abar + 1 - abar)
        return lambda x_t: shrink * x_t

    z, eps = _images(0, (512, 2, 2, 1)), _images(1, (512, 2, 2, 1))
    for loss in (matching.sid_loss, matching.dmd_loss):
        for scale, sign in ((0.5, -1), (2.0, 1)):
            variable = tf.Variable(scale)
            with tf.GradientTape() as tape:
                x = variable * z
                x_t = abar**0.5 * x + (1 - abar) ** 0.5 * eps
                real, fake = denoiser(1.0)(x_t), denoiser(scale)(x_t)
                value = tf.reduce_mean(loss(x, real, fake))
            # The scale of the data is 1.
            assert np.sign(tape.gradient(value, variable)) == sign
