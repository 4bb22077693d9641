import numpy as np
import pytest
import tensorflow as tf

from tf_student.evaluation import extractors, neighbours
from tf_student.evaluation.precision import full_float32

_enabled = tf.config.experimental.tensor_float_32_execution_enabled


@pytest.fixture(params=[True, False])
def before(request):
    """What a program has chosen."""
    was = _enabled()
    tf.config.experimental.enable_tensor_float_32_execution(request.param)
    yield request.param
    tf.config.experimental.enable_tensor_float_32_execution(was)


def test_it_is_off_within_and_as_before_after(before):
    with full_float32():
        assert not _enabled()
    assert _enabled() == before


def test_it_is_as_before_after_an_error(before):
    with pytest.raises(ZeroDivisionError):
        with full_float32():
            raise ZeroDivisionError
    assert _enabled() == before


def test_features_are_extracted_without_it(before, monkeypatch):
    def network(images):
        seen = tf.py_function(lambda: float(_enabled()), [], tf.float32)
        return tuple(tf.fill([len(images), 2], seen) for _ in range(2))

    loaded = extractors._Loaded("flag", "flag", network)
    monkeypatch.setattr(extractors, "_open", lambda name, resize: loaded)
    extractor = extractors.load("flag", tf.distribute.get_strategy(), device_batch=4)
    activations, _ = extractor.run(np.zeros([3, 8, 8, 3], np.uint8))
    np.testing.assert_array_equal(activations, np.zeros([3, 2]))
    assert _enabled() == before


def test_distances_are_computed_without_it(before, monkeypatch):
    seen, matmul = [], tf.matmul

    def noting(*arguments, **options):
        seen.append(_enabled())
        return matmul(*arguments, **options)

    monkeypatch.setattr(tf, "matmul", noting)
    neighbours.nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), 1)
    assert seen == [False] and _enabled() == before
