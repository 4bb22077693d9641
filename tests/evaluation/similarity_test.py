import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tf_student.evaluation import similarity

_FEATURES = (np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[2.0, 0.0], [-1.0, 1.0]]))


def _images(seed, shape=(2, 16, 16, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_equal_images_have_no_distance():
    images = _images(0)
    actual, cosine = similarity.compare((images, images), (_FEATURES[0],) * 2)
    assert (actual.pairs, actual.l1, actual.l2, actual.psnr) == (2, 0, 0, 100)
    np.testing.assert_allclose(actual.ssim, 1, rtol=1e-6)
    np.testing.assert_allclose(cosine, [0, 0], atol=1e-12)


def test_distances_are_in_grey_levels():
    dark = np.full([2, 16, 16, 1], 100, np.uint8)
    light = dark.copy()
    light[0] += 10
    light[1, :8] += 20
    actual, _ = similarity.compare((dark, light), _FEATURES)
    np.testing.assert_allclose(actual.l1, 10)
    np.testing.assert_allclose(actual.l2, (10 + 20 * np.sqrt(0.5)) / 2)
    psnr = 10 * np.log10(255**2 / np.array([100, 200]))
    np.testing.assert_allclose(actual.psnr, psnr.mean())


def test_psnr_is_tensorflows():
    a, b = _images(0), _images(1)
    actual, _ = similarity.compare((a, b), _FEATURES)
    expected = np.mean(tf.image.psnr(a, b, 255))
    np.testing.assert_allclose(actual.psnr, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [8, 11, 16])
def test_ssim_is_the_definition(size):
    a, b = (_images(seed, (1, size, size, 1)) for seed in (0, 1))
    window = min(11, (size - 1) // 2 * 2 + 1)
    actual, _ = similarity.compare((a, b), tuple(f[:1] for f in _FEATURES))
    expected = _ssim(a[0, ..., 0], b[0, ..., 0], window)
    # TensorFlow computes it in float32.
    np.testing.assert_allclose(actual.ssim, expected, rtol=1e-4)


def _ssim(a, b, window):
    offsets = np.arange(window) - (window - 1) / 2
    weights = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(weights, weights) / weights.sum() ** 2
    a, b = a.astype(np.float64), b.astype(np.float64)

    def mean(x):
        views = np.lib.stride_tricks.sliding_window_view(x, (window, window))
        return (views * weights).sum(axis=(2, 3))

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    m_a, m_b = mean(a), mean(b)
    variances = mean(a * a) - m_a**2 + mean(b * b) - m_b**2
    covariance = mean(a * b) - m_a * m_b
    luminance = (2 * m_a * m_b + c1) / (m_a**2 + m_b**2 + c1)
    return np.mean(luminance * (2 * covariance + c2) / (variances + c2))


def test_cosine_distance_is_that_of_each_pair():
    images = (_images(0), _images(1))
    actual, cosine = similarity.compare(images, _FEATURES)
    np.testing.assert_allclose(cosine, [0, 1], atol=1e-12)
    np.testing.assert_allclose(actual.cosine, 0.5)


def test_more_pairs_than_a_block_are_averaged():
    a, b = (_images(seed, (300, 8, 8, 1)) for seed in (0, 1))
    features = tuple(np.ones([300, 2]) for _ in range(2))
    whole, _ = similarity.compare((a, b), features)
    parts = [
        similarity.compare((a[p], b[p]), (features[0][p],) * 2)[0]
        for p in (slice(0, 150), slice(150, 300))
    ]
    for field in dataclasses.fields(whole)[1:]:
        values = [getattr(part, field.name) for part in parts]
        np.testing.assert_allclose(
            getattr(whole, field.name), np.mean(values), rtol=1e-6, atol=1e-9
        )
