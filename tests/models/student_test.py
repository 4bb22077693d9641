import keras
import numpy as np
import pytest

from tests.networks import TINY, randomise
from tests.tolerances import assert_close
from tf_student.models.student import Student
from tf_student.models.unet import UNet

Z = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


@pytest.mark.parametrize("timesteps", [1000, 10])
def test_it_takes_the_noise_of_the_last_step_away(unet, timesteps):
    t = np.full(3, timesteps - 1, np.int32)
    assert_close(Student(unet, timesteps)(Z), Z - unet(Z, t))


def test_the_last_step_is_999_by_default(unet):
    assert Student(unet).timesteps == 1000


def test_its_weights_are_those_of_its_network(unet):
    assert [id(w) for w in Student(unet).weights] == [id(w) for w in unet.weights]


def test_a_new_student_gives_the_noise_back():
    assert np.array_equal(Student(UNet(TINY))(Z), Z)


def test_a_keras_file_gives_an_equal_student(unet, tmp_path):
    student = Student(unet, timesteps=10)
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    assert isinstance(loaded, Student)
    assert loaded.timesteps == 10
    assert loaded.unet.config == TINY
    assert np.array_equal(loaded(Z), student(Z))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_noise_is_not_rounded_to_the_compute_type(policy):
    # A new network predicts nothing, so that the noise itself is seen.
    student = Student(UNet(TINY, dtype=policy), dtype=policy)
    assert np.array_equal(student(Z), Z)
