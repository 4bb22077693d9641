"""Problems for the op, and how its answers are compared with float64's."""

import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops import float64
from tests.tolerances import TOLERANCE, assert_close

needs_library = pytest.mark.skipif(
    not ops.library_loaded(), reason="the op's library was not built"
)
DTYPES = ("float32", "bfloat16", "float16")


def problem(
    shape, dtype="float32", *, biased=False, own=False, mean=0.0, deviation=1.0, seed=0
):
    """x, gamma, beta, bias and dy; with `own`, each image has its gamma and beta."""
    rng = np.random.default_rng(seed)
    channels = shape[-1]
    parameters = (shape[0], channels) if own else channels
    x = tf.cast(rng.normal(mean, deviation, shape), dtype)
    gamma = tf.constant(rng.normal(1, 0.3, parameters), tf.float32)
    beta = tf.constant(rng.normal(0, 0.3, parameters), tf.float32)
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
