import numpy as np
import pytest

from tf_student.diffusion import inputs, noise
from tf_student.runtime.errors import InputError

SHAPE = (4, 4, 1)


def test_without_classes_the_input_is_the_noise():
    z = inputs.batch(3, [5, 6], SHAPE)
    np.testing.assert_array_equal(z, noise.normal(3, [5, 6], SHAPE))
    assert inputs.split(z)[1] is None


def test_labels_are_functions_of_seed_and_index():
    together = inputs.labels(3, range(100), 10).numpy()
    for index in (0, 1, 99):
        assert together[index] == inputs.label(3, index, 10)
    assert not np.array_equal(together, inputs.labels(4, range(100), 10))
    assert not np.array_equal(together, inputs.labels(3, range(100, 200), 10))


def test_labels_keep_their_values():
    """Students are trained on stored labels and sampled with these."""
    drawn = inputs.labels(0, range(12), 10).numpy().tolist()
    assert drawn == [3, 8, 3, 8, 9, 6, 8, 2, 0, 5, 0, 5]
    assert inputs.labels(0, [2 * 2**40], 1000).numpy().tolist() == [675]


def test_labels_are_uniform():
    counts = np.bincount(inputs.labels(0, range(5000), 5), minlength=5)
    # Five standard deviations of a binomial count are 141.
    assert np.abs(counts - 1000).max() < 141


def test_noise_does_not_depend_on_the_classes():
    z, labels = inputs.batch(3, [5, 6], SHAPE, classes=10)
    np.testing.assert_array_equal(z, noise.normal(3, [5, 6], SHAPE))
    np.testing.assert_array_equal(labels, inputs.labels(3, [5, 6], 10))
    one_z, one_label = inputs.draw(3, 6, SHAPE, classes=10)
    np.testing.assert_array_equal(one_z, z[1])
    assert one_label == labels[1]


@pytest.mark.parametrize(
    ("labels", "count", "classes", "expected"),
    [
        ([0, 10], 2, 10, "`labels` must be integers from 0 to 9. Received: 10."),
        ([-1], 1, 10, "`labels` must be integers from 0 to 9. Received: -1."),
        ([1.5], 1, 10, "Received: 1.5."),
        ([1, 2], 3, 10, "Received: 2 labels for 3 images."),
        ([1], 1, 0, "`labels` must not be given for a network without classes."),
    ],
)
def test_labels_that_cannot_be(labels, count, classes, expected):
    with pytest.raises(InputError) as error:
        inputs.check_labels(labels, count, classes)
    assert expected in str(error.value)
