import numpy as np
import pytest
import tensorflow as tf

from tf_student.evaluation import extractors, neighbours
from tf_student.evaluation.feature_network import FeatureNetwork
from tf_student.evaluation.precision import full_float32

_enabled = tf.config.experimental.tensor_float_32_execution_enabled


@pytest.fixture(params=[True, False])
def before(request):
    """The setting of the calling program."""
    was = _enabled()
    tf.config.experimental.enable_tensor_float_32_execution(request.param)
    yield request.param
    tf.config.experimental.enable_tensor_float_32_execution(was)


def test_tf32_is_disabled_inside_and_restored_afterwards(before):
    with full_float32():
        assert not _enabled()
    assert _enabled() == before


def test_tf32_is_restored_after_an_error(before):
    with pytest.raises(ZeroDivisionError):
        with full_float32():
            raise ZeroDivisionError
    assert _enabled() == before


def test_features_are_extracted_without_tf32(before, monkeypatch):
    def network(images):
        seen = tf.py_function(lambda: float(_enabled()), [], tf.float32)
        return tuple(tf.fill([tf.shape(images)[0], 2], seen) for _ in range(2))

    loaded = FeatureNetwork("flag", "flag", network)
    monkeypatch.setattr(extractors, "_open", lambda name, resize: loaded)
    extractor = extractors.load("flag", tf.distribute.get_strategy(), device_batch=4)
    activations, _ = extractor.run(np.zeros([3, 8, 8, 3], np.uint8))
    np.testing.assert_array_equal(activations, np.zeros([3, 2]))
    assert _enabled() == before


def test_distances_are_computed_without_tf32(before, monkeypatch):
    seen, matmul = [], tf.matmul

    def recording(*arguments, **options):
        seen.append(_enabled())
        return matmul(*arguments, **options)

    monkeypatch.setattr(tf, "matmul", recording)
    neighbours.nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 1)
    assert seen == [False] and _enabled() == before
