import numpy as np
import pytest
import tensorflow as tf

from tf_student.evaluation import frechet, metrics
from tf_student.evaluation.features import Features
from tf_student.evaluation.tfgan import classifier_metrics
from tf_student.runtime.errors import InputError


def _features(activations, logits=None):
    activations = np.asarray(activations, np.float64)
    if logits is None:
        logits = np.zeros([len(activations), 2])
    return Features(activations, np.asarray(logits, np.float64))


def _random(seed, n=200, dimensions=6, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=[dimensions, dimensions])
    return _features(rng.normal(size=[n, dimensions]) @ mixing * scale + shift)


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
    actual, error = metrics.kid(a.activations, b.activations)
    expected = _mmd(a.activations, b.activations)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    # One block has no standard error.
    assert error is None


@pytest.mark.parametrize(("m", "n"), [(1500, 2100), (2050, 1100)])
def test_kid_and_its_error_are_tfgans(m, n):
    a, b = (_random(s, n=k).activations for s, k in ((0, m), (1, n)))
    # TF-GAN takes blocks in the order of the images.
    shuffled = (
        part[np.random.default_rng(s).permutation(len(part))]
        for s, part in enumerate((a, b))
    )
    expected = classifier_metrics.kernel_classifier_distance_and_std_from_activations(
        *(tf.constant(part, tf.float64) for part in shuffled)
    )
    np.testing.assert_allclose(metrics.kid(a, b), expected, rtol=1e-9)


def test_kid_does_not_depend_on_the_images_order():
    rng = np.random.default_rng(0)
    # Four distant classes, one after the other.
    a, b = (
        np.concatenate([rng.normal(4 * c, 1, [1024, 4]) for c in range(4)])
        for _ in range(2)
    )
    actual, error = metrics.kid(a, b[rng.permutation(len(b))])
    assert abs(actual) < 3 * error
    # In this order, each block of a would be one class, and each of b all classes.
    in_order = classifier_metrics.kernel_classifier_distance_from_activations(
        tf.constant(a), tf.constant(b[rng.permutation(len(b))])
    )
    assert abs(actual) < float(in_order) / 10


def test_kid_of_very_unequal_sets_is_an_error():
    a, b = np.zeros([5000, 2]), np.zeros([8, 2])
    with pytest.raises(InputError, match=r"equal size. Received: 8 and 5,000 images"):
        metrics.kid(a, b)


def test_kid_of_one_distribution_is_about_zero():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=[800, 4]) for _ in range(2))
    assert abs(metrics.kid(a, b)[0]) < 0.05


@pytest.mark.parametrize("n", [20, 5000])
def test_inception_score_is_tfgans(n):
    logits = 5 * np.random.default_rng(0).normal(size=[n, 12])
    expected = classifier_metrics.classifier_score_from_logits(tf.constant(logits))
    actual = metrics.inception_score(logits)
    np.testing.assert_allclose(actual, float(expected), rtol=1e-9)


@pytest.mark.parametrize("classes", [2, 10])
def test_inception_score_of_equal_logits_is_one(classes):
    score = metrics.inception_score(np.ones([20, classes]))
    np.testing.assert_allclose(score, 1.0, rtol=1e-9)


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_inception_score_of_certain_and_even_classes_is_their_number(classes):
    logits = 1000.0 * np.eye(classes)[np.arange(20 * classes) % classes]
    np.testing.assert_allclose(metrics.inception_score(logits), classes, rtol=1e-9)


def test_logits_that_are_not_finite_are_an_error():
    with pytest.raises(InputError, match="Logits must be finite"):
        metrics.inception_score(np.array([[0.0, np.nan], [0.0, 1.0]]))


_METRICS = ["FID", "KID", "IS", "precision", "recall", "density", "coverage"]


def test_a_reference_measures_everything():
    real, generated = _random(0), _random(1, n=150)
    actual = metrics.Reference(real).measure(generated)
    assert list(actual) == [*_METRICS, "diversity"]
    expected = frechet.distance(real.statistics, generated.statistics)
    np.testing.assert_allclose(actual["FID"][0], expected, rtol=1e-12)
    assert actual["KID"] == metrics.kid(real.activations, generated.activations)


def test_infinity_is_measured_if_requested():
    actual = metrics.Reference(_random(0)).measure(_random(1), infinity=True)
    assert list(actual)[:2] == ["FID", "FID-infinity"]


def test_diversity_is_a_fraction_of_that_of_the_real_images():
    real = _random(0)
    half = _features(real.activations / 2)
    actual = metrics.Reference(real)
    assert actual.measure(real)["diversity"][0] == 1
    np.testing.assert_allclose(actual.measure(half)["diversity"][0], 0.5)


def test_diversity_of_identical_real_images_is_left_out():
    same, other = _features(np.ones([20, 6])), _random(0, n=20)
    actual = metrics.Reference(same).measure(other)
    assert list(actual) == _METRICS
    assert metrics.Reference(other).measure(same)["diversity"][0] == 0


def test_only_statistics_give_only_fid():
    real, generated = _random(0), _random(1)
    whole = metrics.Reference(real)
    expected = whole.measure(generated)["FID"]
    assert whole.measure(generated.statistics) == {"FID": expected}
    actual = metrics.Reference(real.statistics).measure(generated)
    assert list(actual) == ["FID", "IS"]
    assert actual["FID"] == expected


def test_ranges_are_summarized_by_mean_and_standard_deviation():
    ranges = [
        {"FID": (1.0, None), "KID": (0.2, 0.01)},
        {"FID": (9.0, None), "KID": (0.4, 0.03)},
    ]
    assert metrics.summarize(ranges) == {
        "FID": metrics.Score(5.0, 4.0),
        "KID": metrics.Score(
            pytest.approx(0.3), pytest.approx(0.1), pytest.approx(0.02)
        ),
    }


def test_one_range_has_no_deviation():
    assert metrics.summarize([{"KID": (0.5, None)}])["KID"].std == 0.0


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (9.3604, 0.0125, "9.360 ± 0.013"),
        (0.00213, 0.00005, "0.00213 ± 0.00005"),
        (0.0, 0.0, "0.000 ± 0.000"),
    ],
)
def test_small_scores_are_printed_with_more_places(mean, std, text):
    assert str(metrics.Score(mean, std)) == text
