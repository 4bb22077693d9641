import numpy as np
import pytest
import tensorflow as tf

from tf_student.diffusion import noise


def test_golden():
    # Another value would mean that no stored pair set fits its noise any more.
    np.testing.assert_allclose(
        noise.normal(1, [0, 7], (2,)),
        [[0.1266503, -0.49301657], [0.32136127, 0.05509272]],
        rtol=1e-6,
    )


def test_a_draw_does_not_depend_on_its_batch():
    together = noise.normal(5, range(6), (4, 4, 3)).numpy()
    apart = [noise.normal(5, [i], (4, 4, 3)).numpy()[0] for i in reversed(range(6))]
    assert np.array_equal(together, apart[::-1])


def test_draws_one_by_one_are_the_same_bits():
    drawn = noise.normal(5, range(300), (4, 4, 3))
    single = [noise.draw(5, tf.constant(i, tf.int64), (4, 4, 3)) for i in range(300)]
    assert np.array_equal(drawn, single)


def test_a_graph_draws_the_same_bits():
    drawn = noise.normal(5, range(3), (2, 2))
    graph = tf.function(lambda i: noise.normal(5, i, (2, 2)))(
        tf.range(3, dtype="int64")
    )
    assert np.array_equal(drawn, graph)


def test_a_dataset_draws_the_same_bits():
    indices = tf.data.Dataset.range(3).batch(3)
    mapped = indices.map(lambda i: noise.normal(5, i, (2, 2)))
    assert np.array_equal(noise.normal(5, range(3), (2, 2)), next(iter(mapped)))


def test_another_seed_draws_something_else():
    assert not np.any(noise.normal(1, [0], (8,)) == noise.normal(2, [0], (8,)))


def test_a_seed_may_be_a_tensor():
    seed = tf.constant(5, tf.int64)
    assert np.array_equal(noise.normal(seed, [3], (8,)), noise.normal(5, [3], (8,)))


def test_streams_are_2_to_the_40_apart():
    starts = [noise.TRAINING, noise.HELD_OUT, noise.EVALUATION, noise.TEACHER]
    assert starts == [0, 1099511627776, 2199023255552, 3298534883328]


def test_streams_share_no_noise():
    starts = [noise.TRAINING, noise.HELD_OUT, noise.EVALUATION, noise.TEACHER]
    indices = [start + i for start in starts for i in range(100)]
    first_values = noise.normal(0, indices, (1,)).numpy().ravel()
    assert len(np.unique(first_values)) == 400


def test_draws_are_standard_normal():
    values = noise.normal(0, range(100), (1000,)).numpy()
    assert values.dtype == np.float32
    # Six standard errors of 100,000 draws.
    assert values.mean() == pytest.approx(0.0, abs=0.02)
    assert values.std() == pytest.approx(1.0, abs=0.015)
    assert np.mean(np.abs(values) > 1.96) == pytest.approx(0.05, abs=0.005)


def test_neighbouring_draws_are_independent():
    values = noise.normal(0, range(2), (10_000,)).numpy()
    assert abs(np.corrcoef(values)[0, 1]) < 0.06
