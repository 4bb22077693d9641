import numpy as np
import pytest

from tf_student.evaluation import statistics
from tf_student.runtime.errors import InputError


def _random(n=300, dimensions=5, shift=100.0):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=[dimensions, dimensions])
    return (rng.normal(size=[n, dimensions]) @ mixing + shift).astype(np.float32)


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_batches_give_the_statistics_of_all_vectors(size):
    values = _random()
    stats = statistics.Statistics()
    for start in range(0, len(values), size):
        stats.add(values[start : start + size])
    exact = values.astype(np.float64)
    np.testing.assert_allclose(stats.mean, exact.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(
        stats.covariance, np.cov(exact, rowvar=False), rtol=1e-11, atol=1e-12
    )
    assert (stats.n, stats.dimensions) == (300, 5)
    assert stats.mean.dtype == stats.covariance.dtype == np.float64


def test_a_large_mean_does_not_drown_the_covariance():
    values = np.array([[1e8], [1e8 + 1], [1e8 + 2]])
    np.testing.assert_allclose(statistics.of(values).covariance, [[1.0]], rtol=1e-12)


def test_blocks_of_many_images_join():
    values = _random(5000, 3)
    stats = statistics.of(values).covariance
    np.testing.assert_allclose(stats, np.cov(values, rowvar=False), rtol=1e-9)


def test_a_file_has_the_arrays_of_pytorch_fid(tmp_path):
    stats, path = statistics.of(_random(), "digits", "an extractor"), tmp_path / "a.npz"
    stats.save(str(path))
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["mu"][:], stats.mean)
        np.testing.assert_array_equal(arrays["sigma"][:], stats.covariance)
        assert arrays["mu"].dtype == arrays["sigma"].dtype == np.float64
        assert (int(arrays["n"]), str(arrays["extractor"])) == (300, "an extractor")


def test_a_written_file_is_read_back(tmp_path):
    stats, path = statistics.of(_random(), "digits", "an extractor"), tmp_path / "a.npz"
    stats.save(str(path))
    loaded = statistics.load(str(path))
    np.testing.assert_array_equal(loaded.mean, stats.mean)
    np.testing.assert_allclose(loaded.covariance, stats.covariance, rtol=1e-14)
    assert (loaded.n, loaded.extractor, loaded.name) == (300, "an extractor", str(path))


def test_a_file_may_have_only_mu_and_sigma(tmp_path):
    path = str(tmp_path / "theirs.npz")
    sigma = np.array([[2.0, 0.5], [0.5, 1.0]])
    np.savez(path, mu=np.array([1.0, 2.0], np.float32), sigma=sigma)
    stats = statistics.load(path)
    np.testing.assert_array_equal(stats.mean, [1.0, 2.0])
    np.testing.assert_array_equal(stats.covariance, sigma)
    assert (stats.n, stats.extractor) == (0, "")


def test_statistics_are_distinguished_from_images(tmp_path):
    paths = [str(tmp_path / name) for name in ("statistics.npz", "images.npz")]
    np.savez(paths[0], mu=np.zeros(2), sigma=np.eye(2))
    np.savez(paths[1], images=np.zeros([2, 4, 4, 3], np.uint8))
    assert [statistics.has_statistics(path) for path in paths] == [True, False]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros([2, 2]), "sigma": np.eye(2)}, r"must hold mu \[d\] and sigma"),
        ({"mu": np.zeros(3), "sigma": np.eye(2)}, r"Received: \[3\] and \[2, 2\]"),
        ({"mu": np.zeros(2), "sigma": np.full([2, 2], np.nan)}, "NaN or inf"),
        ({"mu": np.zeros(2), "sigma": np.array([[1, 5.0], [0, 1]])}, "symmetric"),
        ({"mu": np.zeros(2)}, "is not an .npz file of arrays: 'sigma is not a file"),
        ({"mu": np.array(["a", "b"]), "sigma": np.eye(2)}, "not an .npz file of"),
    ],
)
def test_a_file_without_statistics_is_an_error(tmp_path, arrays, message):
    path = str(tmp_path / "a.npz")
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        statistics.load(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 and no more"])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.npz is not an .npz file"):
        statistics.load(str(path))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"must exist. Received: /nowhere/a.npz"):
        statistics.load("/nowhere/a.npz")


def test_one_image_is_too_few():
    with pytest.raises(InputError, match=r"at least 2 images. Received: 1 of digits"):
        statistics.of(_random(1), "digits")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_an_error(value):
    values = _random()
    values[3, 2] = value
    with pytest.raises(InputError, match=r"must be finite. Received: digits with NaN"):
        statistics.of(values, "digits")
