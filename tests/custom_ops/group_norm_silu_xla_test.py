import numpy as np
import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops.problems import (
    DTYPES,
    compare,
    needs_library,
    problem,
    value_and_gradients,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_xla_by_definition(dtype, biased, own):
    case = problem((3, 5, 7, 33), dtype, biased=biased, own=own)
    compare(case, 3, "silu", True)


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
