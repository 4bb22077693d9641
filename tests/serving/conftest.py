"""A tiny student, exported once, and the C++ program, built once."""

import dataclasses

import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tf_student import __version__
from tf_student.architecture.unet_config import UNetConfig
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.serving import native, saved_model
from tf_student.serving.metadata import Metadata
from tf_student.serving.signatures import ServedModel

LIMIT = 20


@dataclasses.dataclass(frozen=True)
class Model:
    """A student, and what is exported of it."""

    student: Student
    served: ServedModel
    about: Metadata


def make_model(config: UNetConfig) -> Model:
    """A student with random weights."""
    student = Student(randomise(UNet(config)))
    for weight in student.weights:
        weight.assign(0.3 * weight.numpy())
    variables = [variable.value for variable in student.variables]
    served = ServedModel(student, variables, config.image_shape, LIMIT)
    about = Metadata(
        name="tiny",
        network="student",
        preset="digits",
        network_calls=1,
        image_shape=config.image_shape,
        max_count=LIMIT,
        parameters=student.count_params(),
        weights="ema",
        dtype="float32",
        ops="stock",
        fingerprint="f" * 64,
        teacher="",
        pairs="",
        tf_student=__version__,
        tensorflow=tf.__version__,
    )
    return Model(student, served, about)


@pytest.fixture(scope="session")
def model():
    return make_model(TINY)


@pytest.fixture(scope="session")
def directory(model, tmp_path_factory):
    """A version with warm-up requests for all its signatures."""
    base = str(tmp_path_factory.mktemp("serving") / "tiny")
    return saved_model.write(base, model.served, model.about, warm="all")


@pytest.fixture(scope="session")
def fused_directory(model, tmp_path_factory):
    """A version with the fused op."""
    about = dataclasses.replace(model.about, ops="fused")
    return saved_model.write(str(tmp_path_factory.mktemp("fused")), model.served, about)


@pytest.fixture(scope="session")
def signatures(directory):
    return tf.saved_model.load(directory).signatures


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The C++ program that loads a SavedModel as ModelServer does."""
    if native.compiler() is None:
        pytest.skip("no C++ compiler is installed")
    path = str(tmp_path_factory.mktemp("native") / "load_saved_model")
    native.build(path)
    return path
