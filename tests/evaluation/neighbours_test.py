import numpy as np
import pytest

from tf_student.evaluation import neighbours


def _points(seed, n, dimensions=4, shift=0.0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=[n, dimensions]) + shift).astype(np.float32)


def _brute(real, generated):
    """The definitions, from all distances."""

    def distances(a, b):
        return np.linalg.norm(a[:, None].astype(np.float64) - b[None], axis=-1)

    def radius(x, k):
        # The point itself comes first.
        return np.sort(distances(x, x), axis=1)[:, k]

    across = distances(generated, real)
    within = across <= radius(real, 5)
    return {
        "precision": (across <= radius(real, 3)).any(axis=1).mean(),
        "recall": (across <= radius(generated, 3)[:, None]).any(axis=0).mean(),
        "density": within.sum() / (5 * len(generated)),
        "coverage": within.any(axis=0).mean(),
    }


def _scores(real, generated):
    return neighbours.scores(neighbours.manifold(real), neighbours.manifold(generated))


@pytest.mark.parametrize("block", [16, 1024])
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_scores_are_the_definitions(monkeypatch, block, shift):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    real, generated = _points(0, 150), _points(1, 110, shift=shift)
    actual, expected = _scores(real, generated), _brute(real, generated)
    assert list(actual) == ["precision", "recall", "density", "coverage"]
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, err_msg=name)
        assert 0 < value < 2


def test_equal_sets_have_full_precision_and_recall():
    actual = _scores(_points(0, 100), _points(0, 100))
    assert (actual["precision"], actual["recall"], actual["coverage"]) == (1, 1, 1)
    # Each point lies in its own ball and in those of about five others.
    assert 1 <= actual["density"] <= 1.5


def test_distant_sets_have_scores_of_zero():
    actual = _scores(_points(0, 100), _points(1, 100, shift=50))
    assert set(actual.values()) == {0}


def test_mode_collapse_lowers_recall_and_coverage():
    real = _points(0, 200)
    collapsed = (real[:1] + 1e-3 * _points(1, 200)).astype(np.float32)
    actual = _scores(real, collapsed)
    assert actual["precision"] == 1
    assert actual["recall"] < 0.05 and actual["coverage"] < 0.2


def test_a_far_mean_does_not_matter():
    real, generated = _points(0, 150), _points(1, 110)
    near, far = _scores(real, generated), _scores(real + 512, generated + 512)
    for name, value in near.items():
        np.testing.assert_allclose(far[name], value, atol=0.02, err_msg=name)


def test_sets_of_two_are_enough():
    actual = _scores(_points(0, 2), _points(1, 2))
    assert all(np.isfinite(value) for value in actual.values())


def test_nearest_points_are_in_order():
    points = np.array([[0.0], [10.0], [4.0], [7.0]], np.float32)
    actual = neighbours.nearest(np.array([[6.0], [0.5]], np.float32), points, 3)
    np.testing.assert_array_equal(actual, [[3, 2, 1], [0, 2, 3]])


def test_neighbours_are_at_most_the_points():
    assert neighbours.nearest(_points(0, 2), _points(1, 3), 7).shape == (2, 3)


@pytest.mark.parametrize("block", [16, 1024])
def test_spread_is_the_distance_of_pairs(monkeypatch, block):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    points = _points(0, 100)
    order = np.random.default_rng(0).permutation(100)
    expected = np.linalg.norm(np.diff(points[order], axis=0), axis=1).mean()
    np.testing.assert_allclose(neighbours.spread(points), expected, rtol=1e-5)


def test_spread_of_identical_images_is_zero():
    assert neighbours.spread(np.ones([10, 3], np.float32)) == 0
