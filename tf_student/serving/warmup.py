"""Warm-up requests, which a server runs before it accepts requests from clients.

TensorFlow optimises a signature's graph and allocates its memory in the first call,
which would otherwise be a client's.
"""

import os

import numpy as np
import tensorflow as tf

from tf_student.serving import metadata
from tf_student.serving.signatures import LABELS

# The name that ModelServer expects, with at most 1000 requests.
_FILE = "tf_serving_warmup_requests"


def available() -> bool:
    """Whether the extra `serving`, with the protocol's messages, is installed."""
    try:
        import tensorflow_serving.apis.prediction_log_pb2  # noqa: F401
    except ImportError:
        return False
    return True


def write(
    directory: str,
    about: metadata.Metadata,
    signatures: list[str],
    counts: tuple[int, ...],
) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLogs.

    Args:
        directory: of the SavedModel.
        about: the metadata of the model.
        signatures: the signatures to warm up.
        counts: numbers of images; each signature gets one request for each of them.
    """
    folder = os.path.join(directory, metadata.EXTRA)
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, _FILE)) as writer:
        for signature in signatures:
            for count in counts:
                log = _log(about.name, signature, _inputs(signature, count, about))
                # The order of map fields is otherwise arbitrary.
                writer.write(log.SerializeToString(deterministic=True))


def _inputs(
    signature: str, count: int, about: metadata.Metadata
) -> dict[str, np.ndarray | np.generic]:
    labels = {LABELS: np.zeros(count, np.int32)} if about.classes else {}
    if signature == "serving_default":
        return {"noise": np.zeros((count, *about.image_shape), np.float32), **labels}
    if signature == "interpolate":
        label = {"label": np.int32(0)} if about.classes else {}
        ends = {"seed_a": np.int64(0), "seed_b": np.int64(1)}
        return {**ends, "steps": np.int32(max(2, count)), **label}
    return {"seed": np.int64(0), **(labels or {"count": np.int32(count)})}


def _log(name: str, signature: str, inputs: dict[str, np.ndarray | np.generic]):
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    return log
