import numpy as np

from tf_student.diffusion import noise
from tf_student.evaluation import same_noise
from tf_student.evaluation.image_sources import Source


def _source(name, seen):
    def generate(z):
        seen.append(z)
        return np.full(z.shape, len(seen), np.uint8)

    return Source(name, lambda first, count: iter(()), (2, 2, 1), generate=generate)


def test_both_generators_get_the_same_noise():
    seen = []
    images = same_noise.generate(_source("a", seen), _source("b", seen), 3)
    first, second = seen
    np.testing.assert_array_equal(first, second)
    assert images.names == ("a", "b")
    assert [part[0, 0, 0, 0] for part in images.images] == [1, 2]
    # It differs from the noise of the separate measurements.
    measured = noise.normal(0, noise.EVALUATION + np.arange(3), (2, 2, 1)).numpy()
    assert first.shape == measured.shape and not np.isin(first, measured).any()
