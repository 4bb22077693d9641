import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from tf_student.evaluation import frechet, statistics
from tf_student.evaluation.tfgan import classifier_metrics
from tf_student.runtime.errors import InputError


def _random(seed, n=200, dimensions=6, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=[dimensions, dimensions])
    return rng.normal(size=[n, dimensions]) @ mixing * scale + shift


def _distance(a, b):
    return frechet.distance(statistics.of(a), statistics.of(b))


_CASES = [
    (200, 6, 0.0, 1.0),
    (150, 6, 0.5, 1.0),
    (300, 1, 3.0, 0.1),
    (400, 96, 0.1, 0.5),
]


@pytest.mark.parametrize(("n", "dimensions", "shift", "scale"), _CASES)
def test_distance_is_tfgans(n, dimensions, shift, scale):
    a = _random(0, dimensions=dimensions)
    b = _random(1, n, dimensions, shift, scale)
    expected = classifier_metrics.frechet_classifier_distance_from_activations(
        tf.constant(a), tf.constant(b)
    )
    np.testing.assert_allclose(_distance(a, b), float(expected), rtol=1e-6)


@pytest.mark.parametrize(
    ("n", "dimensions", "shift", "scale"), [*_CASES, (50, 60, 0, 2)]
)
def test_distance_is_that_of_scipys_root(n, dimensions, shift, scale):
    a = _random(0, dimensions=dimensions)
    b = _random(1, n, dimensions, shift, scale)
    covariances = [np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b)]
    root = np.real(scipy.linalg.sqrtm(covariances[0] @ covariances[1]))
    means = a.mean(axis=0) - b.mean(axis=0)
    expected = means @ means + np.trace(sum(covariances) - 2 * root)
    np.testing.assert_allclose(_distance(a, b), expected, rtol=1e-4)


def test_batches_give_the_distance_of_tfgans_streaming():
    a, b = _random(0, 192, 4), _random(1, 192, 4, shift=0.3)
    streamed = [statistics.Statistics(), statistics.Statistics()]
    batches = [np.split(x, 6) for x in (a, b)]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        parts = [tf.compat.v1.placeholder(tf.float64, [32, 4]) for _ in range(2)]
        name = "frechet_classifier_distance_from_activations_streaming"
        value, update = getattr(classifier_metrics, name)(*parts)
        session.run(tf.compat.v1.local_variables_initializer())
        for pair in zip(*batches, strict=True):
            session.run(update, dict(zip(parts, pair, strict=True)))
            for stats, batch in zip(streamed, pair, strict=True):
                stats.add(batch)
        expected = session.run(value)
    np.testing.assert_allclose(frechet.distance(*streamed), expected, rtol=1e-6)
    np.testing.assert_allclose(frechet.distance(*streamed), _distance(a, b), rtol=1e-10)


def test_distance_of_shifted_copies_is_the_squared_shift():
    a = _random(0)
    moved = a + np.array([3.0, 4.0, 0, 0, 0, 0])
    np.testing.assert_allclose(_distance(a, moved), 25.0, rtol=1e-9)


def test_a_set_has_no_distance_to_itself():
    assert abs(_distance(_random(0), _random(0))) < 1e-9


def test_distance_is_symmetric():
    a, b = _random(0), _random(1, shift=1.0)
    np.testing.assert_allclose(_distance(a, b), _distance(b, a), rtol=1e-9)


def test_statistics_do_not_need_a_count(tmp_path):
    a, b = statistics.of(_random(0)), statistics.of(_random(1))
    path = str(tmp_path / "a.npz")
    np.savez(path, mu=a.mean, sigma=a.covariance)
    actual = frechet.distance(statistics.load(path), b)
    np.testing.assert_allclose(actual, frechet.distance(a, b), rtol=1e-10)


@pytest.mark.parametrize("rank", [1, 5, 8])
def test_root_squares_to_its_matrix_and_is_symmetric(rank):
    values = np.random.default_rng(0).normal(size=[8, rank])
    matrix = values @ values.T
    root = frechet.symmetric_root(matrix)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-12)
    np.testing.assert_allclose(root, root.T, atol=1e-12)


def test_a_matrix_with_negative_eigenvalues_has_no_root():
    with pytest.raises(
        InputError, match=r"of theirs must be positive semi-definite. Received: one"
    ):
        frechet.symmetric_root(np.diag([1.0, -0.1]), "theirs")


def test_fewer_images_than_dimensions_are_warned_of():
    few, enough = statistics.of(_random(0, 6), "mine"), statistics.of(_random(0, 7))
    assert frechet.rank_warning(few) == (
        "mine: 6 images for 6 feature dimensions: the covariance lacks rank, and FID "
        "is biased upwards."
    )
    assert frechet.rank_warning(enough) is None


def test_statistics_of_an_unknown_extractor_are_warned_of():
    known, unknown = (
        statistics.of(_random(0), "a", "id"),
        statistics.of(_random(0), "b"),
    )
    assert frechet.origin_warning(known) is None
    assert frechet.origin_warning(unknown).startswith(
        "b does not store the extractor of its features: "
    )


def test_another_number_of_dimensions_is_an_error():
    with pytest.raises(
        InputError, match=r"one extractor. Received: 6 and 5 dimensions"
    ):
        _distance(_random(0), _random(1, dimensions=5))


def test_statistics_of_another_extractor_are_an_error():
    a = statistics.of(_random(0), "a", "sha256:1")
    b = statistics.of(_random(1), "b", "sha256:2")
    message = (
        r"a and b must be features of one extractor. Received: sha256:1 and sha256"
    )
    with pytest.raises(InputError, match=message):
        frechet.distance(a, b)


def test_half_split_compares_disjoint_halves():
    values = np.random.default_rng(0).normal(size=[401, 5])
    order = np.random.default_rng(0).permutation(401)
    expected = _distance(values[order[:201]], values[order[201:]])
    np.testing.assert_allclose(frechet.half_split(values), expected, rtol=1e-9)


def test_infinity_of_one_distribution_is_about_zero():
    # Enough dimensions for the bias to exceed the noise.
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=[n, 64]) for n in (100_000, 3_000))
    reference = frechet.Reference(statistics.of(a))
    biased = reference.distance(statistics.of(b))
    assert biased > 0.3
    assert abs(reference.infinity(b)) < 0.1 * biased


def test_infinity_is_the_line_through_distances_of_subsets():
    a, b = _random(0, 400, 3), _random(1, 330, 3, shift=1.0)
    order = np.random.default_rng(0).permutation(330)
    sizes = np.linspace(33, 330, 15).astype(int)
    distances = [_distance(a, b[order[:size]]) for size in sizes]
    expected = np.polyfit(1 / sizes, distances, 1)[1]
    actual = frechet.Reference(statistics.of(a)).infinity(b)
    np.testing.assert_allclose(actual, expected, rtol=1e-8)
