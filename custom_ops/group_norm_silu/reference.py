"""The formula of the op in stock TensorFlow operations.

y = act(gamma * (v - mean) / sqrt(var + epsilon) + beta),  v = x + bias,

with mean and variance over each image's positions and each group's channels (Wu & He,
*Group Normalization*, arXiv 1803.08494, eq. 1-3) and act the identity or SiLU.
"""

import tensorflow as tf


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
    """Computes the op; statistics and arithmetic are float32 whatever x is.

    Args:
        x: `[batch, ..., channels]`, rank 3 or more; float32, bfloat16 or float16.
        gamma: float32 `[channels]`.
        beta: float32 `[channels]`.
        bias: `[batch, channels]`, added to every position before the norm.
        groups: divides the channels.
        epsilon: added to the variance.
        activation: `silu` or `none`.

    Returns:
        A tensor like x.
    """
    channels = x.shape[-1]
    shape = tf.shape(x)
    v = tf.cast(tf.reshape(x, [shape[0], -1, channels]), tf.float32)
    if bias is not None:
        v += tf.cast(bias, tf.float32)[:, None, :]

    def over_group(per_channel):
        grouped = tf.reshape(per_channel, [-1, 1, groups, channels // groups])
        mean = tf.reduce_mean(grouped, axis=-1, keepdims=True)
        return tf.reshape(tf.broadcast_to(mean, tf.shape(grouped)), [-1, 1, channels])

    # The variance of the centred values, not E[v^2] - E[v]^2: it survives a mean that
    # is large beside the deviation.
    centred = v - over_group(tf.reduce_mean(v, axis=1, keepdims=True))
    variance = over_group(tf.reduce_mean(tf.square(centred), axis=1, keepdims=True))
    y = centred * (gamma * tf.math.rsqrt(variance + epsilon)) + beta
    if activation == "silu":
        y = tf.nn.silu(y)
    return tf.cast(tf.reshape(y, shape), x.dtype)
