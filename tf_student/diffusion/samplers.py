"""Deterministic samplers: DDIM and DPM-Solver++(2M)."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_student.diffusion import predictions, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig

# The output for float32 x `[batch, ...]` at int32 time steps `[batch]`.
Network = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def ddim_step(
    x_0: tf.Tensor, eps: tf.Tensor, *, next_alpha_bar: tf.Tensor
) -> tf.Tensor:
    """One step of DDIM (arXiv 2010.02502, eq. 12, sigma = 0).

    x' = sqrt(a') x_0 + sqrt(1 - a') eps.

    Args:
        x_0: float32 `[batch, ...]`, the image predicted from x.
        eps: float32 like x_0, the noise predicted in x.
        next_alpha_bar: a', a scalar, at the next time step, which has less noise.

    Returns:
        x', float32 like x_0.
    """
    return tf.sqrt(next_alpha_bar) * x_0 + tf.sqrt(1.0 - next_alpha_bar) * eps


def ddim_sample(
    network: Network,
    z: tf.Tensor,
    *,
    timesteps: np.ndarray,
    alpha_bars: np.ndarray,
    prediction: str = "epsilon",
    clipping: str = "none",
) -> tf.Tensor:
    """Applies `ddim_step` from noise to image, in float32.

    The last step leads to alpha_bar = 1, which is an image without noise.

    Args:
        network: its output for float32 x and int32 t `[batch]`.
        z: noise, float32 `[batch, ...]`.
        timesteps: decreasing time steps; `network` is called once for each.
        alpha_bars: float64 `[T]`, for all time steps of the process.
        prediction: what the network predicts: `epsilon`, `v` or `x_0`.
        clipping: `none`, `x_0` or `both`; see `SamplerConfig`.

    Returns:
        float32 like z.
    """
    steps = tf.constant(timesteps, tf.int32)
    now, after = _alpha_bars_along(timesteps, alpha_bars)
    kinds = {"prediction": prediction, "clipping": clipping}

    def body(i, x):
        t = tf.fill([tf.shape(x)[0]], steps[i])
        output = tf.cast(network(x, t), tf.float32)
        x_0, eps = predictions.x_0_and_eps(x, output, alpha_bar=now[i], **kinds)
        x_next = ddim_step(x_0, eps, next_alpha_bar=after[i])
        return i + 1, tf.ensure_shape(x_next, z.shape)

    _, x = tf.while_loop(
        lambda i, _: i < len(timesteps), body, (0, z), maximum_iterations=len(timesteps)
    )
    return x


def _alpha_bars_along(
    timesteps: np.ndarray, alpha_bars: np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    """alpha_bar at each visited time step, and at the one that follows it."""
    along = alpha_bars[timesteps]
    after = np.append(along[1:], 1.0)
    return tf.constant(along, tf.float32), tf.constant(after, tf.float32)


def dpm_step(
    x: tf.Tensor,
    x_0: tf.Tensor,
    last_x_0: tf.Tensor,
    *,
    alpha_bar: tf.Tensor,
    next_alpha_bar: tf.Tensor,
    last_alpha_bar: tf.Tensor,
) -> tf.Tensor:
    """One step of DPM-Solver++(2M) (Lu et al., arXiv 2211.01095, alg. 2).

    Let lambda = log(sqrt(a / (1 - a))), h the step of lambda, and r the ratio of the
    previous step to h. Then

        D = (1 + 1 / (2 r)) x_0 - 1 / (2 r) last_x_0
        x' = sqrt((1 - a') / (1 - a)) x - sqrt(a') (exp(-h) - 1) D

    With D = x_0 this is DDIM.

    Args:
        x: float32 `[batch, ...]`, the noised image.
        x_0: float32 like x, the image predicted from x.
        last_x_0: float32 like x, the image predicted at the previous time step.
        alpha_bar: a, a scalar, at this time step.
        next_alpha_bar: a', a scalar below 1, at the next time step.
        last_alpha_bar: a scalar, at the previous time step.

    Returns:
        x', float32 like x.
    """
    log_snr = schedules.half_log_snr
    h = log_snr(next_alpha_bar) - log_snr(alpha_bar)
    h_before = log_snr(alpha_bar) - log_snr(last_alpha_bar)
    extrapolated = x_0 + 0.5 * h / h_before * (x_0 - last_x_0)
    shrink = tf.sqrt((1.0 - next_alpha_bar) / (1.0 - alpha_bar))
    return shrink * x - tf.sqrt(next_alpha_bar) * tf.math.expm1(-h) * extrapolated


def dpm_sample(
    network: Network,
    z: tf.Tensor,
    *,
    timesteps: np.ndarray,
    alpha_bars: np.ndarray,
    prediction: str = "epsilon",
    clipping: str = "none",
) -> tf.Tensor:
    """Applies `dpm_step` from noise to image; otherwise like `ddim_sample`.

    The first and the last step are those of DDIM: the first has no previous prediction,
    and the last leads to alpha_bar = 1, where lambda is infinite.
    """
    steps = tf.constant(timesteps, tf.int32)
    now, after = _alpha_bars_along(timesteps, alpha_bars)
    last = len(timesteps) - 1
    kinds = {"prediction": prediction, "clipping": clipping}

    def body(i, x, last_x_0):
        t = tf.fill([tf.shape(x)[0]], steps[i])
        output = tf.cast(network(x, t), tf.float32)
        x_0, eps = predictions.x_0_and_eps(x, output, alpha_bar=now[i], **kinds)
        x_next = tf.cond(
            (i > 0) & (i < last),
            lambda: dpm_step(
                x,
                x_0,
                last_x_0,
                alpha_bar=now[i],
                next_alpha_bar=after[i],
                last_alpha_bar=now[i - 1],
            ),
            lambda: ddim_step(x_0, eps, next_alpha_bar=after[i]),
        )
        return i + 1, tf.ensure_shape(x_next, z.shape), tf.ensure_shape(x_0, z.shape)

    _, x, _ = tf.while_loop(
        lambda i, *_: i <= last,
        body,
        (0, z, tf.zeros_like(z)),
        maximum_iterations=last + 1,
    )
    return x


_SOLVERS = {"ddim": ddim_sample, "dpm++2m": dpm_sample}


def make_sampler(
    network: Network,
    diffusion: DiffusionConfig = DiffusionConfig(),
    sampler: SamplerConfig = SamplerConfig(),
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the sampler that a config describes, as a function of noise.

    Args:
        network: its output for float32 x and int32 t `[batch]`.
        diffusion: the forward process that the network was trained on, and what it
            predicts.
        sampler: the solver, the spacing and the number of time steps, and clipping.

    Returns:
        A function from noise, float32 `[batch, height, width, channels]`, to images of
        the same shape and dtype. Their values lie about in [-1, 1].

    Example:

    >>> from tf_student.diffusion.samplers import make_sampler
    >>> sample = make_sampler(lambda x, t: tf.zeros_like(x))
    >>> sample(tf.random.normal([2, 8, 8, 1])).shape
    TensorShape([2, 8, 8, 1])
    """
    timesteps = schedules.sampling_timesteps(sampler, diffusion)
    alpha_bars = schedules.alpha_bars(diffusion)
    solve = _SOLVERS[sampler.solver]

    def sample(z: tf.Tensor) -> tf.Tensor:
        return solve(
            network,
            z,
            timesteps=timesteps,
            alpha_bars=alpha_bars,
            prediction=diffusion.prediction,
            clipping=sampler.clipping,
        )

    return sample
