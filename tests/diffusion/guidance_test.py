import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion.guidance import guided

NULL = 7
LABELS = tf.constant([0, 3])
X = tf.constant([[1.0, 2.0], [3.0, 4.0]])
T = tf.constant([10, 20])


class _Network:
    """x + t + 100 y; records the sizes of its batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, x, t, labels):
        self.batches.append(len(x))
        t, labels = (tf.cast(v, tf.float32)[:, None] for v in (t, labels))
        return x + t + 100.0 * labels


@pytest.mark.parametrize(
    ("guidance", "effective"),
    # NULL + guidance (label - NULL), for the labels 0 and 3.
    [(0.0, (7, 7)), (1.0, (0, 3)), (2.0, (-7, -1)), (0.5, (3.5, 5))],
)
def test_output_lies_on_the_line_from_the_null_class_to_the_class(guidance, effective):
    network = guided(_Network(), LABELS, guidance=guidance, null_label=NULL)
    expected = X.numpy() + T.numpy()[:, None] + 100.0 * np.array(effective)[:, None]
    np.testing.assert_allclose(network(X, T), expected, rtol=1e-6)


def test_both_outputs_come_from_one_call_and_none_without_guidance():
    network = _Network()
    guided(network, LABELS, guidance=2.0, null_label=NULL)(X, T)
    guided(network, LABELS, null_label=NULL)(X, T)
    assert network.batches == [4, 2]
