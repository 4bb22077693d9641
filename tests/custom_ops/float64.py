"""The op and its gradients in float64 NumPy, from their definition."""

import numpy as np


def value_and_gradients(x, gamma, beta, bias, dy, *, groups, epsilon, activation):
    """y and the gradients of x, gamma, beta and, with one, bias."""
    x, gamma, beta, dy = (
        np.asarray(t).astype(np.float64) for t in (x, gamma, beta, dy)
    )
    shape, channels = x.shape, x.shape[-1]
    # Each image may have its own parameters.
    own = gamma.ndim == 2
    if own:
        gamma, beta = gamma[:, None], beta[:, None]
    v, dy = (t.reshape(shape[0], -1, channels) for t in (x, dy))
    if bias is not None:
        v = v + np.asarray(bias).astype(np.float64)[:, None, :]

    def average(t):
        grouped = t.reshape(*t.shape[:2], groups, channels // groups)
        mean = grouped.mean(axis=(1, 3), keepdims=True)
        return np.broadcast_to(mean, grouped.shape).reshape(t.shape)

    centred = v - average(v)
    rstd = 1 / np.sqrt(average(centred**2) + epsilon)
    xhat = centred * rstd
    z = gamma * xhat + beta
    s = 1 / (1 + np.exp(-z))
    y, slope = (z * s, s * (1 + z * (1 - s))) if activation == "silu" else (z, 1)
    g = dy * slope
    dv = rstd * (gamma * g - average(gamma * g) - xhat * average(gamma * g * xhat))
    summed = 1 if own else (0, 1)
    gradients = [dv.reshape(shape), (g * xhat).sum(summed), g.sum(summed)]
    if bias is not None:
        gradients.append(dv.sum(1))
    return [y.reshape(shape), *gradients]
