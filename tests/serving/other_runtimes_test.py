"""Other runtimes that read SavedModels."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY
from tests.serving.conftest import make_model
from tf_student.serving import metadata, saved_model


# The smaller network has no transposed convolution.
@pytest.fixture(scope="module", params=[8, 16])
def directory(request, tmp_path_factory):
    model = make_model(dataclasses.replace(TINY, image_size=request.param))
    base = str(tmp_path_factory.mktemp("model"))
    return saved_model.write(base, model.served, model.about)


@pytest.fixture(scope="module")
def noise(directory):
    size = metadata.read(directory).image_shape[0]
    return tf.random.stateless_normal([3, size, size, 3], [1, 2]).numpy()


@pytest.fixture(scope="module")
def expected(directory, noise):
    signatures = tf.saved_model.load(directory).signatures
    return signatures["serving_default"](noise=noise)["images"].numpy()


def _agrees(images, expected):
    difference = np.abs(images.astype(int) - expected)
    return difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_openvino_draws_the_same(directory, noise, expected):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    # By default OpenVINO computes in bfloat16 if the processor supports it.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.convert_model(directory), "CPU", precise)
    assert _agrees(compiled([noise])[0], expected)
