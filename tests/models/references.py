"""Layers by their definition, in float64."""

import numpy as np


def silu(x):
    return x / (1 + np.exp(-x))


def group_norm(x, groups, epsilon=1e-6):
    """By definition, in float64, with unit gamma and no beta."""
    batch, height, width, _ = x.shape
    rows = x.astype(np.float64).reshape(batch, height * width, groups, -1)
    mean = rows.mean(axis=(1, 3), keepdims=True)
    variance = rows.var(axis=(1, 3), keepdims=True)
    return ((rows - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)


def conv(x, kernel, bias):
    """3x3 or 1x1 convolution with zero padding, in float64."""
    pad = kernel.shape[0] // 2
    x = np.pad(x.astype(np.float64), [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    height, width = x.shape[1] - 2 * pad, x.shape[2] - 2 * pad
    return bias + sum(
        x[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    )
