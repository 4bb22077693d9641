import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tf_student import images, noise
from tf_student.errors import InputError
from tf_student.serving.export import export
from tf_student.student import Student
from tf_student.unet import UNet


@pytest.fixture(scope="module")
def student():
    unet = randomise(UNet(TINY))
    for weight in unet.weights:
        weight.assign(0.3 * weight.numpy())
    return Student(unet)


@pytest.fixture(scope="module")
def directory(student, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("serving") / "1")
    export(student, path)
    return path


@pytest.fixture(scope="module")
def signatures(directory):
    return tf.saved_model.load(directory).signatures


def _sample(signatures, seed, count):
    served = signatures["sample"](
        seed=tf.constant(seed, tf.int64), count=tf.constant(count)
    )
    return served["images"].numpy()


def test_there_are_two_signatures(signatures):
    assert sorted(signatures) == ["sample", "serving_default"]


def test_signatures_have_these_inputs_and_outputs(signatures):
    def described(specs):
        return {name: (spec.dtype.name, spec.shape) for name, spec in specs.items()}

    default, sample = signatures["serving_default"], signatures["sample"]
    assert described(default.structured_input_signature[1]) == {
        "noise": ("float32", [None, 8, 8, 3])
    }
    assert described(sample.structured_input_signature[1]) == {
        "seed": ("int64", []),
        "count": ("int32", []),
    }
    for signature in (default, sample):
        assert list(signature.structured_outputs) == ["images"]
        assert signature.structured_outputs["images"].dtype == tf.uint8


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_batch_may_be_any(signatures, batch):
    z = tf.zeros([batch, 8, 8, 3])
    assert signatures["serving_default"](noise=z)["images"].shape == (batch, 8, 8, 3)
    assert _sample(signatures, 0, batch).shape == (batch, 8, 8, 3)


def test_served_images_are_the_students(signatures, student):
    z = tf.random.stateless_normal([5, 8, 8, 3], [1, 2])
    served = signatures["serving_default"](noise=z)["images"].numpy()
    assert served.std() > 10
    np.testing.assert_array_equal(served, images.to_uint8(student(z)).numpy())


def test_sample_draws_what_the_seed_says(signatures, student):
    z = noise.normal(7, noise.EVALUATION + tf.range(3, dtype=tf.int64), (8, 8, 3))
    np.testing.assert_array_equal(
        _sample(signatures, 7, 3), images.to_uint8(student(z)).numpy()
    )


def test_same_seed_gives_the_same_images(signatures):
    first, second = (_sample(signatures, 11, 4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_seeds_give_other_images(signatures):
    assert not np.array_equal(_sample(signatures, 1, 4), _sample(signatures, 2, 4))


def test_larger_count_begins_with_the_same_images(signatures):
    few, many = _sample(signatures, 3, 2), _sample(signatures, 3, 5)
    np.testing.assert_array_equal(few, many[:2])
    assert len({image.tobytes() for image in many}) == 5


def _contents(directory):
    return {
        os.path.join(parent, name): open(os.path.join(parent, name), "rb").read()
        for parent, _, names in os.walk(directory)
        for name in names
    }


def test_existing_directory_is_refused_and_intact(student, directory):
    before = _contents(directory)
    with pytest.raises(InputError, match=f"Received: export_dir={directory}"):
        export(student, directory)
    assert _contents(directory) == before


def test_failed_export_leaves_nothing(student, tmp_path, monkeypatch):
    def full(module, path, signatures):
        os.makedirs(path)
        raise tf.errors.ResourceExhaustedError(None, None, "no space left")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        export(student, str(tmp_path / "export"))
    assert list(tmp_path.iterdir()) == []


def test_export_makes_the_folders_above_it(student, tmp_path):
    export(student, str(tmp_path / "models" / "student" / "1"))
    assert tf.saved_model.contains_saved_model(
        str(tmp_path / "models" / "student" / "1")
    )


_STRANGER = """
import sys
sys.modules["tf_student"] = None
import numpy as np
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1]).signatures["sample"]
images = served(seed=tf.constant(5, tf.int64), count=tf.constant(4))["images"]
np.save(sys.argv[2], images.numpy())
"""


def test_process_without_this_package_draws_the_same(directory, signatures, tmp_path):
    path = str(tmp_path / "images.npy")
    subprocess.run([sys.executable, "-c", _STRANGER, directory, path], check=True)
    np.testing.assert_array_equal(np.load(path), _sample(signatures, 5, 4))
