"""Runtimes that read TensorFlow's models and were not written for them."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="module")
def noise():
    return tf.random.stateless_normal([3, 8, 8, 3], [1, 2]).numpy()


@pytest.fixture(scope="module")
def expected(signatures, noise):
    return signatures["serving_default"](noise=noise)["images"].numpy()


def _agrees(images, expected):
    difference = np.abs(images.astype(int) - expected)
    return difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_openvino_draws_the_same(directory, noise, expected):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    # By default it computes in bfloat16 where the processor can.
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.convert_model(directory), "CPU", precise)
    assert _agrees(compiled([noise])[0], expected)


def test_onnx_draws_the_same(directory, noise, expected, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="it is not installed")
    pytest.importorskip("tf2onnx", reason="it is not installed")
    path = str(tmp_path / "model.onnx")
    convert = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", directory]
    subprocess.run([*convert, "--output", path], check=True, capture_output=True)
    session = onnxruntime.InferenceSession(path)
    assert _agrees(session.run(None, {"noise": noise})[0], expected)
