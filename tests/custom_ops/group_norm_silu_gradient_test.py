import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu import reference
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops.problems import needs_library, problem, value_and_gradients


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
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_second_order_gradients_are_the_formulas(biased, own, jit_compile):
    x, gamma, beta, bias, dy = problem((2, 3, 4, 6), biased=biased, own=own)

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
