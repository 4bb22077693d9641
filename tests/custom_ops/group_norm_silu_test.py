import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops import float64
from tests.custom_ops.problems import (
    DTYPES,
    compare,
    needs_library,
    problem,
    value_and_gradients,
)
from tests.tolerances import assert_close

# With their groups: sizes that divide no register, one position, one channel a group,
# several blocks, ranks 3 to 5.
SHAPES = {
    (2, 8, 8, 32): 8,
    (3, 5, 7, 33): 3,
    (1, 1, 1, 16): 4,
    (2, 3, 8): 2,
    (2, 7, 5): 5,
    (3, 33, 31, 64): 32,
    (1, 3, 17, 5, 24): 6,
    (1, 40, 40, 48): 1,
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [False, True])
def test_value_and_gradients_by_definition(shape, dtype, biased):
    case = problem(shape, dtype, biased=biased)
    compare(case, SHAPES[shape], "silu" if len(shape) == 4 else "none")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_images_with_parameters_of_their_own(shape, dtype):
    case = problem(shape, dtype, biased=len(shape) == 3, own=True)
    compare(case, SHAPES[shape], "silu" if len(shape) == 4 else "none")


@pytest.mark.parametrize("activation", ops.ACTIVATIONS)
@pytest.mark.parametrize("biased", [False, True])
def test_each_activation(activation, biased):
    compare(problem((2, 6, 6, 16), biased=biased), 4, activation)


@needs_library
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("size", [16, 96])
def test_a_large_mean_beside_a_small_deviation(biased, size):
    case = problem((2, size, size, 32), biased=biased, mean=1e3, deviation=1e-2)
    compare(case, 8, "silu")


@needs_library
@pytest.mark.parametrize("outlier", [-1e4, 1e4])
def test_a_first_position_far_from_the_others(outlier):
    x, *rest = problem((1, 40, 40, 16), mean=10.0, deviation=1e-2)
    x = tf.tensor_scatter_nd_update(x, [[0, 0, 0]], [[outlier] * 16])
    attributes = {"groups": 4, "epsilon": 1e-6, "activation": "silu"}
    actual = value_and_gradients(ops.group_norm_silu, x, *rest, **attributes)
    expected = float64.value_and_gradients(x, *rest, **attributes)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.max(np.abs(other)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_group(value):
    x, gamma, beta, _, _ = problem((2, 6, 6, 16))
    x = tf.tensor_scatter_nd_update(x, [[1, 2, 3, 4]], [value])
    y = ops.group_norm_silu(x, gamma, beta, groups=4).numpy()
    assert np.isnan(y[1, :, :, 4:8]).any()
    y[1, :, :, 4:8] = 0
    assert np.isfinite(y).all()


def test_large_activations_do_not_overflow():
    x = problem((1, 8, 8, 16))[0]
    y = ops.group_norm_silu(x, tf.fill([16], 1e4), tf.zeros(16), groups=4)
    assert np.isfinite(y).all() and np.min(y) >= -0.3


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_an_empty_batch(biased, own):
    case = problem((0, 3, 3, 8), biased=biased, own=own)
    y, dx, dgamma, dbeta, *_ = value_and_gradients(
        ops.group_norm_silu, *case, groups=2, epsilon=1e-6, activation="silu"
    )
    assert y.shape == dx.shape == (0, 3, 3, 8)
    assert not np.any(dgamma) and not np.any(dbeta)


def test_a_dynamic_batch_and_size():
    signature = tf.TensorSpec([None, None, None, 8])
    function = tf.function(
        lambda x: ops.group_norm_silu(x, tf.ones(8), tf.zeros(8), groups=2),
        input_signature=[signature],
    )
    assert function.get_concrete_function().structured_outputs.shape[-1] == 8
    for shape in [(1, 2, 3, 8), (3, 4, 1, 8)]:
        x = problem(shape)[0]
        expected = ops.group_norm_silu(x, tf.ones(8), tf.zeros(8), groups=2)
        assert_close(function(x), expected)


def test_two_replicas_give_each_its_own(strategy):
    x, gamma, beta, bias, dy = problem((4, 5, 5, 16), biased=True)
    attributes = {"groups": 4, "epsilon": 1e-6, "activation": "silu"}
    expected = float64.value_and_gradients(x, gamma, beta, bias, dy, **attributes)
    replicas = strategy.num_replicas_in_sync

    def part(tensor):
        return strategy.experimental_distribute_values_from_function(
            lambda c: tf.split(tensor, replicas)[c.replica_id_in_sync_group]
        )

    @tf.function
    def step(x, bias, dy):
        def replica(x, bias, dy):
            return value_and_gradients(
                ops.group_norm_silu, x, gamma, beta, bias, dy, **attributes
            )

        return strategy.run(replica, (x, bias, dy))

    y, dx, dgamma, _, dbias = (
        strategy.experimental_local_results(r)
        for r in step(part(x), part(bias), part(dy))
    )
    assert_close(np.concatenate(y), expected[0])
    assert_close(np.concatenate(dx), expected[1])
    assert_close(np.sum(dgamma, axis=0), expected[2])
    assert_close(np.concatenate(dbias), expected[4])


@needs_library
def test_results_repeat_bit_for_bit():
    case = problem((1, 100, 100, 48), biased=True)
    attributes = {"groups": 8, "epsilon": 1e-6, "activation": "silu"}
    runs = [
        value_and_gradients(ops.group_norm_silu, *case, **attributes) for _ in range(5)
    ]
    for run in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(run, runs[0], strict=True))


@needs_library
@pytest.mark.parametrize("simd", ["baseline", "avx2"])
def test_each_instruction_set(simd):
    program = """
import numpy as np
from tests.custom_ops import problems as t
from tf_student.custom_ops.group_norm_silu import reference
assert t.ops.describe().find("{simd}") > 0 or "{simd}" == "avx2", t.ops.describe()
for dtype in t.DTYPES:
    for shape in [(3, 5, 7, 33), (1, 40, 40, 48)]:
        t.compare(t.problem(shape, dtype, biased=True), 3, "silu")
bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
x = t.tf.constant(bits[np.isfinite(bits)][:63488].reshape(1, -1, 16))
y = t.ops.group_norm_silu(x, t.tf.ones(16), t.tf.zeros(16), groups=16,
                          epsilon=0.0, activation="none")
f = reference.group_norm_silu(x, t.tf.ones(16), t.tf.zeros(16), groups=16,
                                epsilon=0.0, activation="none")
np.testing.assert_allclose(y, f, rtol=2e-3, atol=1e-4)
"""
    environment = {**os.environ, "TF_STUDENT_SIMD": simd}
    result = subprocess.run(
        [sys.executable, "-c", program.replace("{simd}", simd)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]


def test_random_shapes():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = hypothesis.strategies
    integers = strategies.integers

    @hypothesis.settings(max_examples=40, deadline=None, derandomize=True)
    @hypothesis.given(
        batch=integers(1, 4),
        sizes=strategies.lists(integers(1, 12), min_size=1, max_size=3),
        groups=integers(1, 6),
        width=integers(1, 12),
        dtype=strategies.sampled_from(DTYPES),
        biased=strategies.booleans(),
        own=strategies.booleans(),
        activation=strategies.sampled_from(ops.ACTIVATIONS),
        seed=integers(0, 1000),
    )
    def check(batch, sizes, groups, width, dtype, biased, own, activation, seed):
        shape = (batch, *sizes, groups * width)
        # Two values and more a group, or dx is a difference of equal numbers.
        hypothesis.assume(width * np.prod(sizes) > 3)
        # A norm of each channel alone takes the bias out: its gradient is zero.
        hypothesis.assume(not biased or width > 1)
        case = problem(shape, dtype, biased=biased, own=own, seed=seed)
        attributes = {"groups": groups, "epsilon": 1e-3, "activation": activation}
        actual = value_and_gradients(ops.group_norm_silu, *case, **attributes)
        expected = float64.value_and_gradients(*case, **attributes)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, one.dtype.name)

    check()
