import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.evaluation import saved_model_source
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

_NOISE = tf.TensorSpec([None, 2, 2, 1], tf.float32)


def _save(path, function, *specs):
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return str(path)


def _images(noise):
    return {"images": tf.saturate_cast(noise * 40 + 128, tf.uint8)}


def test_images_are_those_of_evaluation_noise(tmp_path):
    path = _save(tmp_path / "m", _images, _NOISE)
    source = saved_model_source.load(path, RunConfig(device_batch=3))
    batches = list(source.read(4, 7))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    z = noise.normal(0, noise.EVALUATION + np.arange(4, 11), (2, 2, 1)).numpy()
    np.testing.assert_array_equal(np.concatenate(batches), source.generate(z))
    np.testing.assert_array_equal(source.generate(z), _images(z)["images"])
    assert (source.name, source.shape, source.count) == (path, (2, 2, 1), None)


def test_a_saved_model_without_a_signature_is_an_error(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"))
    with pytest.raises(InputError, match=r"serving_default .* Received: none"):
        saved_model_source.load(str(tmp_path / "m"), RunConfig())


def test_two_inputs_are_an_error(tmp_path):
    path = _save(tmp_path / "m", lambda a, b: _images(a + b), _NOISE, _NOISE)
    with pytest.raises(InputError, match=r"with one input, noise, .* Received: a, b"):
        saved_model_source.load(path, RunConfig())


@pytest.mark.parametrize(
    ("spec", "received"),
    [
        (tf.TensorSpec([None, 2, 2, 1], tf.float64), r"float64 \(None, 2, 2, 1\)"),
        (tf.TensorSpec([None, None, 2, 1], tf.float32), r"float32 \(None, None, 2"),
        (tf.TensorSpec([None, 4], tf.float32), r"float32 \(None, 4\)"),
    ],
)
def test_other_noise_is_an_error(tmp_path, spec, received):
    path = _save(tmp_path / "m", _images, spec)
    message = rf"must take float32 noise \[n, height, .* Received: {received}"
    with pytest.raises(InputError, match=message):
        saved_model_source.load(path, RunConfig())


def test_float_images_are_an_error(tmp_path):
    path = _save(tmp_path / "m", lambda noise: {"images": noise}, _NOISE)
    with pytest.raises(InputError, match=r"must return uint8 images, .* float32"):
        saved_model_source.load(path, RunConfig())
