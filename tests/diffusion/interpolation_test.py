import numpy as np
import tensorflow as tf

from tests.tolerances import assert_close
from tf_student.diffusion.interpolation import slerp

Z = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)


def walk(z_0, z_1, weights):
    return slerp(*map(tf.constant, (z_0, z_1, weights))).numpy()


def test_slerp_starts_and_ends_at_its_ends():
    path = walk(Z[0], Z[1], np.array([0, 1], np.float32))
    assert_close(path, Z[:2])


def test_slerp_keeps_the_norm():
    z_0, z_1 = (z / np.linalg.norm(z) for z in Z[:2])
    path = walk(z_0, z_1, np.linspace(0, 1, 7, dtype=np.float32))
    assert path.shape == (7, 4, 4, 2)
    assert_close(np.linalg.norm(path.reshape(7, -1), axis=1), np.ones(7))


def test_slerp_turns_at_a_constant_rate():
    z_0, z_1 = np.array([[1, 0], [0, 1]], np.float32)
    path = walk(z_0, z_1, np.array([1 / 3, 1 / 2], np.float32))
    assert_close(path, [[np.sqrt(0.75), 0.5], [np.sqrt(0.5), np.sqrt(0.5)]])


def test_slerp_between_equal_noise_stays_there():
    path = walk(Z[0], Z[0], np.linspace(0, 1, 3, dtype=np.float32))
    assert_close(path, np.stack([Z[0]] * 3), "float16")
