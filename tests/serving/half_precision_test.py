import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY, randomise
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.student import Origin, Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.serving import half_precision

_DIFFUSION = DiffusionConfig(timesteps=100)


@pytest.fixture(scope="module")
def unet():
    return randomise(UNet(TINY))


@pytest.fixture(scope="module")
def student(unet):
    return Student(unet, _DIFFUSION, origin=Origin("teacher", "pairs"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_have_the_dtype_and_norms_stay_float32(student, dtype):
    half = half_precision.with_dtype(student, dtype)
    for before, after in zip(student.unet.variables, half.unet.variables, strict=True):
        is_norm = before.path.rpartition("/")[2] in ("gamma", "beta")
        assert after.dtype == ("float32" if is_norm else dtype), before.path
        np.testing.assert_array_equal(
            tf.cast(after.value, "float32"),
            tf.cast(tf.cast(before.value, after.dtype), "float32"),
        )


def test_student_keeps_its_origin_and_its_process(student):
    half = half_precision.with_dtype(student, "bfloat16")
    assert isinstance(half, Student)
    assert (half.origin, half.diffusion) == (student.origin, _DIFFUSION)
    assert half.dtype_policy.name == "bfloat16"


def test_teacher_keeps_its_process(unet):
    half = half_precision.with_dtype(Teacher(unet, _DIFFUSION), "float16")
    assert isinstance(half, Teacher)
    assert half.diffusion == _DIFFUSION
    images = half.sampler(SamplerConfig(calls=2))(tf.zeros([1, 8, 8, 3]))
    assert images.dtype == tf.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_images_are_those_of_a_mixed_policy(student, dtype):
    z = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
    mixed = Student(student.unet.copy(dtype=f"mixed_{dtype}"), _DIFFUSION)
    half = half_precision.with_dtype(student, dtype)
    np.testing.assert_array_equal(half(z), mixed(z))


def test_network_of_the_dtype_is_returned_itself(student):
    assert half_precision.with_dtype(student, "float32") is student


def test_network_of_a_mixed_policy_becomes_float32(student):
    mixed = Student(student.unet.copy(dtype="mixed_bfloat16"), _DIFFUSION)
    single = half_precision.with_dtype(mixed, "float32")
    z = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
    np.testing.assert_array_equal(single(z), student(z))
