import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu import reference
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops import float64
from tests.tolerances import TOLERANCE, assert_close

needs_library = pytest.mark.skipif(
    not ops.library_loaded(), reason="the op's library was not built"
)
DTYPES = ("float32", "bfloat16", "float16")
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


def problem(shape, dtype="float32", *, biased=False, mean=0.0, deviation=1.0, seed=0):
    """x, gamma, beta, bias and dy."""
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    x = tf.cast(rng.normal(mean, deviation, shape), dtype)
    gamma = tf.constant(rng.normal(1, 0.3, channels), tf.float32)
    beta = tf.constant(rng.normal(0, 0.3, channels), tf.float32)
    bias = tf.cast(rng.normal(0, deviation, (shape[0], channels)), dtype)
    dy = tf.cast(rng.normal(size=shape), dtype)
    return x, gamma, beta, bias if biased else None, dy


def value_and_gradients(formula, x, gamma, beta, bias, dy, **attributes):
    """y and the gradients of x, gamma, beta and, with one, bias."""
    sources = [x, gamma, beta] + ([] if bias is None else [bias])
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = formula(x, gamma, beta, bias, **attributes)
    return [y, *tape.gradient(y, sources, dy)]


def compare(case, groups, activation, jit_compile=None):
    attributes = {"groups": groups, "epsilon": 1e-6, "activation": activation}

    def run(*case):
        return value_and_gradients(ops.group_norm_silu, *case, **attributes)

    results = tf.function(run, jit_compile=jit_compile)(*case)
    expected = float64.value_and_gradients(*case, **attributes)
    if groups == case[0].shape[-1] and len(results) == 5:
        # What a norm of each channel alone takes out; its gradient is zero.
        dbias = results.pop()
        assert np.max(np.abs(dbias)) < TOLERANCE[dbias.dtype.name]
        expected.pop()
    for actual, exact in zip(results, expected, strict=True):
        assert_close(actual, exact, actual.dtype.name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("biased", [False, True])
def test_value_and_gradients_by_definition(shape, dtype, biased):
    case = problem(shape, dtype, biased=biased)
    compare(case, SHAPES[shape], "silu" if len(shape) == 4 else "none")


@pytest.mark.parametrize("activation", ops.ACTIVATIONS)
@pytest.mark.parametrize("biased", [False, True])
def test_each_activation(activation, biased):
    compare(problem((2, 6, 6, 16), biased=biased), 4, activation)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
def test_xla_by_definition(dtype, biased):
    compare(problem((3, 5, 7, 33), dtype, biased=biased), 3, "silu", True)


@needs_library
@pytest.mark.parametrize("shape", [(1, 40, 40, 48), (3, 33, 31, 64)])
def test_xla_gives_the_bits_of_the_graph(shape):
    case = problem(shape, biased=True)
    attributes = {"groups": 8, "epsilon": 1e-6, "activation": "silu"}

    def run(*case):
        return value_and_gradients(ops.group_norm_silu, *case, **attributes)

    graph, xla = (tf.function(run, jit_compile=j)(*case) for j in (False, True))
    for one, other in zip(graph, xla, strict=True):
        assert np.array_equal(one, other)


@needs_library
def test_xla_keeps_the_kernel():
    function = tf.function(
        lambda x: ops.group_norm_silu(x, tf.ones(8), tf.zeros(8), groups=2),
        jit_compile=True,
    )
    hlo = function.experimental_get_compiler_ir(tf.ones([2, 4, 8]))()
    assert 'custom_call_target="tf_student.group_norm_silu"' in hlo


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
def test_an_empty_batch(biased):
    case = problem((0, 3, 3, 8), biased=biased)
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


def test_gradients_by_finite_differences():
    x, gamma, beta, bias, _ = problem((2, 3, 4, 6), biased=True)
    attributes = {"groups": 3, "epsilon": 1e-6, "activation": "silu"}
    weights = np.random.default_rng(1).normal(size=x.shape)

    def formula(*inputs):
        y = ops.group_norm_silu(*inputs, **attributes)
        return tf.reduce_sum(y * tf.constant(weights, tf.float32))

    theoretical, numerical = tf.test.compute_gradient(
        formula, [x, gamma, beta, bias], delta=1e-2
    )
    for one, other in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_second_order_gradients_are_the_formulas(biased, jit_compile):
    x, gamma, beta, bias, dy = problem((2, 3, 4, 6), biased=biased)

    def second(formula):
        attributes = {"groups": 3, "epsilon": 1e-3, "activation": "silu"}
        sources = [x, gamma, beta, dy] + ([bias] if biased else [])
        with tf.GradientTape() as tape:
            tape.watch(sources)
            _, *first = value_and_gradients(
                formula, x, gamma, beta, bias, dy, **attributes
            )
            total = tf.add_n([tf.reduce_sum(tf.sin(g)) for g in first])
        return tape.gradient(total, sources)

    compiled = tf.function(second, jit_compile=jit_compile)
    actual = compiled(ops.group_norm_silu)
    expected = compiled(reference.group_norm_silu)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


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
def test_the_gradient_of_the_bias_reaches_its_users_through_another_node():
    # oneDNN's pass would otherwise take it for x's: see BiasGroupNormSiluGrad.
    @tf.function
    def gradient(x, bias, gamma, beta, bias_of_bias):
        with tf.GradientTape() as tape:
            tape.watch(bias_of_bias)
            y = ops.group_norm_silu(
                x, gamma, beta, tf.nn.bias_add(bias, bias_of_bias), groups=2
            )
        return tape.gradient(y, bias_of_bias)

    x, bias, channel = (tf.TensorSpec(s) for s in ((2, 4, 4, 8), (2, 8), (8,)))
    graph = gradient.get_concrete_function(x, bias, channel, channel, channel).graph
    sums = [op for op in graph.get_operations() if op.type == "BiasAddGrad"]
    assert [op.inputs[0].op.type for op in sums] == ["Squeeze"]


@needs_library
@pytest.mark.parametrize("simd", ["baseline", "avx2"])
def test_each_instruction_set(simd):
    program = """
import numpy as np
from tests.custom_ops import group_norm_silu_test as t
assert t.ops.describe().find("{simd}") > 0 or "{simd}" == "avx2", t.ops.describe()
for dtype in t.DTYPES:
    for shape in [(3, 5, 7, 33), (1, 40, 40, 48)]:
        t.compare(t.problem(shape, dtype, biased=True), 3, "silu")
bits = np.arange(2**16, dtype=np.uint16).view(np.float16)
x = t.tf.constant(bits[np.isfinite(bits)][:63488].reshape(1, -1, 16))
y = t.ops.group_norm_silu(x, t.tf.ones(16), t.tf.zeros(16), groups=16,
                          epsilon=0.0, activation="none")
f = t.reference.group_norm_silu(x, t.tf.ones(16), t.tf.zeros(16), groups=16,
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
        activation=strategies.sampled_from(ops.ACTIVATIONS),
        seed=integers(0, 1000),
    )
    def check(batch, sizes, groups, width, dtype, biased, activation, seed):
        shape = (batch, *sizes, groups * width)
        # Two values and more a group, or dx is a difference of equal numbers.
        hypothesis.assume(width * np.prod(sizes) > 3)
        case = problem(shape, dtype, biased=biased, seed=seed)
        attributes = {"groups": groups, "epsilon": 1e-3, "activation": activation}
        actual = value_and_gradients(ops.group_norm_silu, *case, **attributes)
        expected = float64.value_and_gradients(*case, **attributes)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, one.dtype.name)

    check()


# Errors.

X = tf.zeros([2, 3, 3, 8])
ONES = tf.ones(8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": tf.zeros([2, 8])}, r"rank 3 or more.*Received: x.shape=\(2, 8\)"),
        ({"groups": 3}, "`groups` must divide.*groups=3, channels=8"),
        ({"groups": 0}, "`groups` must divide.*groups=0, channels=8"),
        ({"activation": "relu"}, "`activation` must be one of.*activation='relu'"),
    ],
)
def test_the_door_refuses(arguments, message):
    arguments = {"x": X, "gamma": ONES, "beta": ONES, "groups": 2} | arguments
    with pytest.raises(ValueError, match=message):
        ops.group_norm_silu(**arguments)


STATISTICS = tf.zeros([2, 2])
WRONG_SHAPES = [
    ({"x": tf.zeros([2, 8])}, "`x` must have rank 3 or more.*2,8"),
    ({"groups": 3}, "`groups` must divide.*groups=3, channels=8"),
    ({"gamma": tf.ones(4)}, r"`gamma` must have shape \[channels\].*Received: \[4\]"),
    ({"beta": tf.ones(4)}, r"`beta` must have shape \[channels\].*Received: \[4\]"),
    ({"bias": tf.ones([2, 4])}, r"`bias` must have shape \[batch, channels\].*2,4"),
    ({"dy": tf.ones([2, 3, 1, 8])}, "`dy` must have shape of `x`.*2,3,1,8"),
    ({"mean": tf.ones([2, 4])}, r"`mean` must have shape \[batch, groups\].*2,4"),
    ({"rstd": tf.ones([3, 2])}, r"`rstd` must have shape \[batch, groups\].*3,2"),
]


def raw_gradient(**arguments):
    defaults = {"dy": X, "x": X, "bias": tf.zeros([2, 8]), "gamma": ONES, "beta": ONES}
    defaults |= {"mean": STATISTICS, "rstd": STATISTICS, "groups": 2}
    op = ops._library().tf_student_bias_group_norm_silu_grad
    return op(**{**defaults, **arguments})


@needs_library
@pytest.mark.parametrize(("arguments", "message"), WRONG_SHAPES)
def test_the_graph_refuses_wrong_shapes(arguments, message):
    if "x" in arguments:
        arguments = {**arguments, "dy": arguments["x"]}

    @tf.function
    def trace():
        return raw_gradient(**arguments)

    with pytest.raises(ValueError, match=message):
        trace.get_concrete_function()


@needs_library
@pytest.mark.parametrize(("arguments", "message"), WRONG_SHAPES)
def test_the_kernels_refuse_wrong_shapes(arguments, message):
    if "x" in arguments:
        arguments = {**arguments, "dy": arguments["x"]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        raw_gradient(**arguments)
