"""Requests that a server runs before it answers, so that no client pays for the first.

TensorFlow optimises a signature's graph and allocates its memory on the first call.
"""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_student.serving import metadata

# Where ModelServer looks for it; it refuses a model of more than 1000 requests.
_FILE = "tf_serving_warmup_requests"


def available() -> bool:
    """Whether the protocol's messages are installed, the extra `serving`."""
    try:
        import tensorflow_serving.apis.prediction_log_pb2  # noqa: F401
    except ImportError:
        return False
    return True


def write(
    directory: str,
    name: str,
    image_shape: tuple[int, int, int],
    signatures: list[str],
    counts: tuple[int, ...],
) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`, a TFRecord of PredictionLogs.

    Args:
        directory: of the SavedModel.
        name: of the model.
        image_shape: `(height, width, channels)`.
        signatures: that are warmed up.
        counts: images of each one's requests.
    """
    folder = os.path.join(directory, metadata.EXTRA)
    tf.io.gfile.makedirs(folder)
    with tf.io.TFRecordWriter(os.path.join(folder, _FILE)) as writer:
        for signature in signatures:
            for count in counts:
                inputs = dict(_inputs(signature, count, image_shape))
                log = _log(name, signature, inputs)
                # Map fields have no order of their own.
                writer.write(log.SerializeToString(deterministic=True))


def _inputs(signature, count, image_shape) -> Iterator[tuple[str, np.ndarray]]:
    if signature == "serving_default":
        yield "noise", np.zeros((count, *image_shape), np.float32)
    elif signature == "interpolate":
        yield "seed_a", np.int64(0)
        yield "seed_b", np.int64(1)
        yield "steps", np.int32(max(2, count))
    else:
        yield "seed", np.int64(0)
        yield "count", np.int32(count)


def _log(name, signature, inputs):
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    return log
