import os

import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conftest import LIMIT
from tf_student.serving import saved_model, warmup

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2",
    reason="the extra `serving` is not installed",
)


def _requests(directory):
    path = os.path.join(directory, "assets.extra", "tf_serving_warmup_requests")
    records = tf.data.TFRecordDataset(path).as_numpy_iterator()
    logs = map(prediction_log_pb2.PredictionLog.FromString, records)
    return [log.predict_log.request for log in logs]


def _inputs(request):
    return {name: tf.make_ndarray(value) for name, value in request.inputs.items()}


def test_every_signature_is_asked_for_one_image_and_for_several(directory, signatures):
    names = [r.model_spec.signature_name for r in _requests(directory)]
    assert sorted(names) == sorted(2 * list(signatures))
    assert {r.model_spec.name for r in _requests(directory)} == {"tiny"}


def test_the_model_answers_them(directory, signatures):
    for request in _requests(directory):
        inputs = _inputs(request)
        spec = signatures[request.model_spec.signature_name]
        (output,) = spec(**{k: tf.constant(v) for k, v in inputs.items()}).values()
        count = inputs.get("count", inputs.get("steps"))
        assert output.shape[0] == (len(inputs["noise"]) if count is None else count)


def test_by_default_only_noise_is_sent(model, tmp_path):
    """A server that batches requests refuses scalars, and then the model."""
    path = saved_model.write(str(tmp_path), model.served, model.about)
    requests = _requests(path)
    assert [r.model_spec.signature_name for r in requests] == ["serving_default"] * 2
    shapes = [_inputs(request)["noise"].shape for request in requests]
    assert shapes == [(1, 8, 8, 3), (min(16, LIMIT), 8, 8, 3)]


def test_equal_requests_are_equal_bytes(tmp_path, model):
    places = [str(tmp_path / name) for name in "ab"]
    for place in places:
        warmup.write(place, model.about, ["sample", "interpolate"], (1, 4))
    first, second = (
        np.fromfile(f"{place}/assets.extra/tf_serving_warmup_requests", np.uint8)
        for place in places
    )
    np.testing.assert_array_equal(first, second)
