"""The Python door of the fused GroupNorm-SiLU op."""

import tensorflow as tf
from tf_student.custom_ops.group_norm_silu import reference

ACTIVATIONS = ("silu", "none")


def library_loaded() -> bool:
    """Whether the compiled kernels are in use; without them the formula serves."""
    return False


def group_norm_silu(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    bias: tf.Tensor | None = None,
    *,
    groups: int,
    epsilon: float = 1e-6,
    activation: str = "silu",
) -> tf.Tensor:
    """act(gamma * (x + bias - mean) / sqrt(var + epsilon) + beta) over channel groups.

    Args:
        x: `[batch, ..., channels]`, rank 3 or more; float32, bfloat16 or float16. The
            statistics are float32 whatever x is.
        gamma: float32 `[channels]`.
        beta: float32 `[channels]`.
        bias: `[batch, channels]`, added to every position before the norm.
        groups: divides the channels.
        epsilon: added to the variance.
        activation: `silu` or `none`.

    Returns:
        A tensor like x.

    Raises:
        ValueError: if a shape or an attribute does not fit.
    """
    if x.shape.rank is None or x.shape.rank < 3 or x.shape[-1] is None:
        raise ValueError(
            "`x` must have rank 3 or more and a known number of channels. "
            f"Received: x.shape={x.shape}."
        )
    if groups < 1 or x.shape[-1] % groups:
        raise ValueError(
            "`groups` must divide the channels. "
            f"Received: groups={groups}, channels={x.shape[-1]}."
        )
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {ACTIVATIONS}. "
            f"Received: activation={activation!r}."
        )
    return reference.group_norm_silu(
        x,
        gamma,
        beta,
        bias,
        groups=groups,
        epsilon=epsilon,
        activation=activation,
    )
