"""The formula of the op in stock TensorFlow operations.

y = act(gamma * (v - mean) / sqrt(var + epsilon) + beta),  v = x + bias,

with mean and variance over each image's positions and each group's channels (Wu & He,
*Group Normalization*, arXiv 1803.08494, eq. 1-3) and act the identity or SiLU.
"""

import math

import tensorflow as tf

# Images with at least this many positions are averaged row by row.
_LARGE = 256


def group_norm_silu(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    bias: tf.Tensor | None = None,
    *,
    groups: int,
    epsilon: float,
    activation: str = "silu",
) -> tf.Tensor:
    """Computes the op; statistics and arithmetic are float32 for every dtype of x.

    Args:
        x: `[batch, ..., channels]`, rank 3 or more; float32, bfloat16 or float16.
        gamma: float32 `[channels]`, or `[batch, channels]` for each image its own.
        beta: float32 like gamma.
        bias: `[batch, channels]`, added to every position first.
        groups: number of groups; must divide the channels.
        epsilon: added to the variance.
        activation: `silu` or `none`.

    Returns:
        A tensor with the shape and dtype of x.
    """
    shape, inner = _shapes(x, groups)
    each = [-1, *[1] * (len(inner) - 3), *inner[-2:]]
    v = tf.cast(tf.reshape(x, inner), tf.float32)
    added = tf.zeros(inner[-2:]) if bias is None else tf.cast(bias, tf.float32)
    added, gamma, beta = (tf.reshape(v, each) for v in (added, gamma, beta))
    # Moments are computed about the mean of the first row: E[v^2] - E[v]^2 would cancel
    # where the mean is much larger than the deviation, and the mean of all rows would
    # cost another pass over x. The squared distance of the row from the mean is at most
    # the variance times the rows. Results and gradients do not depend on this centre.
    row = v[:, :1] if len(inner) == 5 else v[:, : x.shape[-2]]
    centre = tf.reduce_mean(_over_positions(row) + added, axis=-1, keepdims=True)
    v -= tf.stop_gradient(centre) - added
    mean, square = _moments(v)
    # Rounding can make the variance of a constant group negative.
    variance = tf.nn.relu(square - tf.square(mean))
    scale = tf.math.rsqrt(variance + epsilon) * gamma
    y = v * scale + (beta - mean * scale)
    if activation == "silu":
        y = tf.nn.silu(y)
    return tf.cast(tf.reshape(y, shape), x.dtype)


def _shapes(x: tf.Tensor, groups: int):
    """Returns the shape of x and the shape to compute in.

    The latter is `[batch, rows, columns, groups, channels of a group]` or, for small
    images, whose cost is the number of operations, `[batch, positions, groups,
    channels of a group]`. Statically known sizes are Python numbers.
    """
    per_group = [groups, x.shape[-1] // groups]
    _, *spatial, channels = x.shape
    if None in spatial:
        shape = tf.shape(x)
        return shape, [shape[0], shape[1], -1, *per_group]
    batch = -1 if x.shape[0] is None else x.shape[0]
    positions = math.prod(spatial)
    rows = [positions]
    if positions >= _LARGE:
        rows = [spatial[0], positions // spatial[0]]
    return [batch, *spatial, channels], [batch, *rows, *per_group]


@tf.custom_gradient
def _moments(v: tf.Tensor):
    """Returns the means of v and of v^2 over positions and the channels of a group.

    A joint gradient takes fewer passes over v than two separate ones.
    """
    found = (
        tf.reduce_mean(_over_positions(part), axis=-1, keepdims=True)
        for part in (v, tf.square(v))
    )
    share = 1 / _values_of_a_group(v)
    return tuple(found), lambda mean, square: v * (2 * share * square) + share * mean


def _over_positions(v: tf.Tensor) -> tf.Tensor:
    """Returns the mean over columns, then rows: a row fits in the nearest cache."""
    for axis in reversed(range(1, v.shape.rank - 2)):
        v = tf.reduce_mean(v, axis, keepdims=True)
    return v


def _values_of_a_group(v: tf.Tensor) -> float | tf.Tensor:
    if None not in v.shape[1:]:
        return float(math.prod(v.shape[1:]) // v.shape[-2])
    sizes = tf.shape(v)
    return tf.cast(tf.reduce_prod(sizes[1:]) // sizes[-2], v.dtype)
