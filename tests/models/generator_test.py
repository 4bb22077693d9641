import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion import noise
from tf_student.models.generator import Generator
from tf_student.runtime.devices import make_strategy
from tf_student.runtime.errors import InputError
from tf_student.runtime.run_config import RunConfig

SHAPE = (2, 2, 3)
Z = np.random.default_rng(0).normal(size=(11, *SHAPE)).astype(np.float32) / 2


def make(strategy, sample=tf.tanh, device_batch=4, xla=False):
    run = RunConfig(device_batch=device_batch, xla="on" if xla else "off")
    return Generator(strategy, sample, SHAPE, run=run)


def expected(z):
    return np.round((np.tanh(z.astype(np.float64)) + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize("n", [1, 3, 4, 8, 11])
def test_any_number_of_images_in_their_order(strategy, n):
    images = make(strategy)(Z[:n])
    assert images.dtype == np.uint8
    assert np.array_equal(images, expected(Z[:n]))


def test_no_noise_gives_no_images(strategy):
    assert make(strategy)(Z[:0]).shape == (0, 2, 2, 3)


@pytest.mark.parametrize("xla", [False, True])
def test_images_do_not_depend_on_the_devices(xla):
    one, two = (
        make(make_strategy([f"CPU:{i}" for i in range(n)]), xla=xla) for n in (1, 2)
    )
    assert np.array_equal(one(Z), two(Z))


def test_every_device_always_gets_a_full_batch(strategy):
    sizes = []

    def sample(z):
        assert z.shape == (4, *SHAPE)
        tf.py_function(lambda n: sizes.append(int(n)), [tf.shape(z)[0]], [])
        return z

    make(strategy, sample)(Z)
    replicas = strategy.num_replicas_in_sync
    assert sizes == [4] * replicas * -(-11 // (4 * replicas))


def test_the_function_is_traced_once(strategy):
    traces = []

    def sample(z):
        traces.append(z)
        return z

    generator = make(strategy, sample)
    for n in (11, 1, 5):
        generator(Z[:n])
    assert len(traces) == strategy.num_replicas_in_sync


@pytest.mark.parametrize("first", [0, 5])
def test_from_seed_draws_the_noise_of_these_indices(strategy, first):
    indices = noise.EVALUATION + np.arange(first, first + 11)
    z = noise.normal(7, indices, SHAPE).numpy()
    images = make(strategy).from_seed(7, noise.EVALUATION + first, 11)
    assert np.array_equal(images, make(strategy)(z))


def test_no_images_of_a_seed(strategy):
    images = make(strategy).from_seed(7, 0, 0)
    assert (images.shape, images.dtype) == ((0, *SHAPE), np.uint8)


def test_fewer_than_no_images_are_refused(strategy):
    with pytest.raises(InputError, match=r"must be at least 0. Received: -1\."):
        make(strategy).from_seed(7, 0, -1)
