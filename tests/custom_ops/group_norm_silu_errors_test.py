import pytest
import tensorflow as tf
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops.problems import needs_library

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
    ({"gamma": tf.ones([3, 8])}, r"`gamma` must have shape .*Received: \[3,8\]"),
    ({"beta": tf.ones([2, 8])}, r"`beta` must have shape .*Received: \[2,8\]"),
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
