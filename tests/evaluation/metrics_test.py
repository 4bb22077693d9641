import numpy as np
import pytest
import scipy.linalg

from tf_student.errors import InputError
from tf_student.evaluation import metrics
from tf_student.evaluation.features import Features


def _features(activations, logits=None):
    activations = np.asarray(activations, np.float64)
    if logits is None:
        logits = np.zeros([len(activations), 2])
    return Features(activations, np.asarray(logits, np.float64))


def _random(seed, n=200, dimensions=6, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=[dimensions, dimensions])
    return _features(rng.normal(size=[n, dimensions]) @ mixing * scale + shift)


def _frechet(a, b):
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))."""
    means = a.mean(axis=0) - b.mean(axis=0)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    return means @ means + np.trace(sum(covariances) - 2 * np.real(root))


@pytest.mark.parametrize(
    ("n", "dimensions", "shift", "scale"),
    [(200, 6, 0.0, 1.0), (150, 6, 0.5, 1.0), (50, 20, 0.0, 2.0), (300, 1, 3.0, 0.1)],
)
def test_fid_is_the_frechet_distance(n, dimensions, shift, scale):
    real = _random(0, dimensions=dimensions)
    generated = _random(1, n=n, dimensions=dimensions, shift=shift, scale=scale)
    if dimensions == 1:
        a, b = real.activations.ravel(), generated.activations.ravel()
        expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    else:
        expected = _frechet(real.activations, generated.activations)
    np.testing.assert_allclose(metrics.fid(real, generated), expected, rtol=1e-4)


def test_fid_of_shifted_copies_is_the_squared_shift():
    real = _random(0)
    moved = _features(real.activations + np.array([3.0, 4.0, 0, 0, 0, 0]))
    np.testing.assert_allclose(metrics.fid(real, moved), 25.0, rtol=1e-6)


def test_fid_of_a_set_with_itself_is_zero():
    assert abs(metrics.fid(_random(0), _random(0))) < 1e-6


def test_fid_is_symmetric():
    a, b = _random(0), _random(1, shift=1.0)
    np.testing.assert_allclose(metrics.fid(a, b), metrics.fid(b, a), rtol=1e-6)


def _mmd(a, b):
    """The unbiased squared MMD of the kernel (x.y / d + 1)^3."""

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    m, n = len(a), len(b)
    aa, bb = kernel(a, a), kernel(b, b)
    within = (aa.sum() - np.trace(aa)) / (m * (m - 1))
    within += (bb.sum() - np.trace(bb)) / (n * (n - 1))
    return within - 2 * kernel(a, b).mean()


def test_kid_is_the_kernel_distance():
    a, b = _random(0), _random(1, shift=0.7)
    expected = _mmd(a.activations, b.activations)
    np.testing.assert_allclose(metrics.kid(a, b), expected, rtol=1e-6)


def test_kid_of_one_distribution_is_about_zero():
    rng = np.random.default_rng(0)
    a, b = (_features(rng.normal(size=[800, 4])) for _ in range(2))
    assert abs(metrics.kid(a, b)) < 0.05


@pytest.mark.parametrize("classes", [2, 10])
def test_inception_score_of_equal_logits_is_one(classes):
    generated = _features(np.zeros([20, 3]), np.ones([20, classes]))
    np.testing.assert_allclose(metrics.inception_score(generated), 1.0, rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_inception_score_of_certain_and_even_classes_is_their_number(classes):
    logits = 100.0 * np.eye(classes)[np.arange(20 * classes) % classes]
    generated = _features(np.zeros([len(logits), 3]), logits)
    np.testing.assert_allclose(metrics.inception_score(generated), classes, rtol=1e-6)


def test_scores_have_mean_and_standard_deviation_over_ranges():
    real = _random(0)
    ranges = [
        _features(real.activations + np.array([shift, 0, 0, 0, 0, 0]))
        for shift in (1.0, 3.0)
    ]
    found = metrics.scores(real, ranges)
    assert list(found) == ["FID", "KID", "IS"]
    # Squared shifts of 1 and 9.
    np.testing.assert_allclose((found["FID"].mean, found["FID"].std), (5.0, 4.0))
    np.testing.assert_allclose((found["IS"].mean, found["IS"].std), (1.0, 0.0))


def test_one_range_has_no_deviation():
    assert metrics.scores(_random(0), [_random(1)])["KID"].std == 0.0


def test_score_prints_three_decimals():
    assert str(metrics.Score(9.3604, 0.0125)) == "9.360 ± 0.013"


def test_half_split_compares_disjoint_halves():
    rng = np.random.default_rng(0)
    real = _features(rng.normal(size=[401, 5]))
    order = np.random.default_rng(0).permutation(401)
    halves = real.activations[order[:201]], real.activations[order[201:]]
    np.testing.assert_allclose(
        metrics.half_split_fid(real), _frechet(*halves), rtol=1e-4
    )


def test_one_image_is_too_few():
    with pytest.raises(InputError, match=r"at least 2. Received: 1 generated images"):
        metrics.fid(_random(0), _random(1, n=1))


def test_features_of_two_extractors_are_refused():
    with pytest.raises(InputError, match="Received: 6 and 5 dimensions"):
        metrics.kid(_random(0), _random(1, dimensions=5))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", ["real", "generated"])
def test_features_that_are_not_finite_are_refused(which, value):
    sets = {"real": _random(0), "generated": _random(1)}
    sets[which].activations[3, 2] = value
    with pytest.raises(InputError, match=f"The {which} images .* not finite"):
        metrics.fid(**sets)
