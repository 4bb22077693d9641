"""A model with classes, over both protocols."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.client import model_server
from tf_student.client import rest, rpc
from tf_student.client.client_config import ClientConfig
from tf_student.diffusion import inputs, noise
from tf_student.runtime.errors import InputError
from tf_student.serving.class_signatures import ServedClasses

SHAPE, CLASSES = (4, 4, 1), 5
CONNECTIONS = {"rest": rest.Connection, "rpc": rpc.Connection}


def _by_class(drawn):
    """Images that are as bright as their class says."""
    z, labels = drawn
    grey = tf.cast(labels, tf.float32)[:, None, None, None] * 40 / 127.5 - 1
    return tf.zeros_like(z) + grey


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "1")
    model = ServedClasses(_by_class, [], SHAPE, 20, CLASSES)
    tf.saved_model.save(model, path, signatures=model.signatures())
    with model_server.serving("digits", {1: path}, {}) as addresses:
        yield addresses


@pytest.fixture(params=CONNECTIONS)
def classes_of(request, addresses):
    """Requests images with some options, and returns their classes."""

    def classes(**options):
        config = ClientConfig(addresses[request.param], model="digits", **options)
        connection = CONNECTIONS[request.param](config)
        files = connection.png(7, config.count)
        connection.close()
        images = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
        return [int(image[0, 0]) // 40 for image in images]

    return classes


@pytest.mark.parametrize("signature", ["png", "serving_default"])
def test_labels_are_asked_for_in_turn(classes_of, signature):
    drawn = classes_of(count=5, labels=(3, 0), signature=signature)
    assert drawn == [3, 0, 3, 0, 3]


def test_without_labels_the_seed_draws_them(classes_of):
    indices = noise.EVALUATION + np.arange(4)
    assert classes_of(count=4) == inputs.labels(7, indices, CLASSES).numpy().tolist()


def test_noise_needs_labels(classes_of):
    with pytest.raises(InputError, match="`labels` must be given, from 0, for a model"):
        classes_of(count=2, signature="serving_default")


def test_labels_in_vain_are_refused():
    with pytest.raises(InputError, match="`labels` must be empty for a model without"):
        ClientConfig(labels=(1,)).image_labels(has_classes=False)
