"""The Python interface of the fused GroupNorm-SiLU op.

It runs the compiled kernels if they were built for the installed TensorFlow. Otherwise,
and under `stock_operations`, it runs the formula in reference.py, which gives the same
results up to rounding.
"""

import contextlib
import contextvars
import ctypes
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import logging
from tf_student.custom_ops.group_norm_silu import reference

ACTIVATIONS = ("silu", "none")
MODES = ("auto", "on", "off")

_DIRECTORY = pathlib.Path(__file__).resolve().parents[1]
_PREFIX, _SUFFIX = "libgroup_norm_silu.tf", ".so"
_DTYPES = (tf.float32, tf.bfloat16, tf.float16)
_CUDA_SYMBOL = "TfStudentGroupNormSiluCuda"

_mode = "auto"
_stock = contextvars.ContextVar("tf_student_stock_operations", default=False)


# The library.


def _find(directory: pathlib.Path, version: str) -> pathlib.Path | None:
    """Returns the library for a TensorFlow version; warns of other versions."""
    path = directory / f"{_PREFIX}{version}{_SUFFIX}"
    if path.exists():
        return path
    for other in sorted(directory.glob(f"{_PREFIX}*{_SUFFIX}")):
        built_for = other.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        logging.warning(
            "The fused op was built for TensorFlow %s and this is %s: its formula "
            "serves instead, slower. Install the package again to build it.",
            built_for,
            version,
        )
    return None


@functools.cache
def _library() -> Any:
    """Returns the loaded ops, or None."""
    path = _find(_DIRECTORY, tf.__version__)
    if path is None:
        return None
    try:
        return tf.load_op_library(str(path))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        logging.warning("The fused op cannot be loaded, its formula serves: %s", error)
        return None


@functools.cache
def library_path() -> str | None:
    """Returns the loaded library, which JAX can load too, or None."""
    if _library() is None:
        return None
    return str(_find(_DIRECTORY, tf.__version__))


def library_loaded() -> bool:
    """Whether the compiled kernels are loaded; without them the formula runs."""
    return _library() is not None


@functools.cache
def _symbols() -> ctypes.CDLL:
    return ctypes.CDLL(library_path())


def _accelerators() -> list[str]:
    """Returns the types of the visible devices, without CPUs."""
    return sorted(
        {d.device_type for d in tf.config.get_visible_devices()}
        - {"CPU", "XLA_CPU", "XLA_GPU"}
    )


def _uncovered() -> list[str]:
    """Returns the types of visible devices for which the library has no kernels."""
    covered = {"GPU"} if hasattr(_symbols(), _CUDA_SYMBOL) else set()
    return [kind for kind in _accelerators() if kind not in covered]


def describe() -> str:
    """Returns a sentence on the implementation in use."""
    if _mode == "off":
        return "formula: the fused op is switched off"
    if not library_loaded():
        return f"formula: no library for TensorFlow {tf.__version__} was built"
    if _uncovered():
        return f"formula: the library has no kernels for {', '.join(_uncovered())}"
    name = _symbols().TfStudentSimdName
    name.restype = ctypes.c_char_p
    cuda = "CUDA" if hasattr(_symbols(), _CUDA_SYMBOL) else "no CUDA"
    return f"fused kernels: CPU ({name().decode()}), XLA, {cuda}"


def set_mode(mode: str) -> None:
    """Selects the implementation for functions that are traced from now on.

    Args:
        mode: `auto` uses the kernels if the library has them for all visible devices;
            `on` requires them; `off` uses the formula.

    Raises:
        ValueError: if the mode is unknown, or `on` requires missing kernels.
    """
    global _mode
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: mode={mode!r}.")
    if mode == "on" and not library_loaded():
        raise ValueError(
            "mode='on' needs the fused op's library for TensorFlow "
            f"{tf.__version__}, which was not built in {_DIRECTORY}. Install the "
            "package again where there is a C++ compiler."
        )
    if mode == "on" and _uncovered():
        raise ValueError(
            "mode='on' needs kernels for all visible devices. The library has none "
            f"for: {', '.join(_uncovered())}."
        )
    _mode = mode


def get_mode() -> str:
    """Returns the mode that `set_mode` selected, initially `auto`."""
    return _mode


@contextlib.contextmanager
def stock_operations() -> Iterator[None]:
    """Uses the formula inside the context, whatever the mode.

    A SavedModel that is traced inside the context loads without the library. Functions
    that were traced before keep their implementation and must be traced again.
    """
    token = _stock.set(True)
    try:
        yield
    finally:
        _stock.reset(token)


def _fused(dtype: tf.DType) -> bool:
    if _stock.get() or _mode == "off" or dtype not in _DTYPES:
        return False
    return library_loaded() and not _uncovered()


# The op.


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

    First-order gradients have kernels; higher-order ones differentiate the formula.

    Args:
        x: `[batch, ..., channels]`, rank 3 or more; float32, bfloat16 or float16. The
            statistics are float32 for every dtype of x.
        gamma: float32 `[channels]`, or `[batch, channels]` for each image its own.
        beta: float32 like gamma.
        bias: `[batch, channels]`, added to every position before the norm.
        groups: number of groups; must divide the channels.
        epsilon: added to the variance.
        activation: `silu` or `none`.

    Returns:
        A tensor with the shape and dtype of x.

    Raises:
        ValueError: if the shape of x or an attribute is invalid.
    """
    x = tf.convert_to_tensor(x)
    _check(x, groups, activation)
    attributes = {"groups": groups, "epsilon": epsilon, "activation": activation}
    if not _fused(x.dtype):
        return reference.group_norm_silu(x, gamma, beta, bias, **attributes)
    if bias is None:
        return _library().tf_student_group_norm_silu(x, gamma, beta, **attributes).y
    bias = tf.cast(bias, x.dtype)
    return (
        _library().tf_student_bias_group_norm_silu(x, bias, gamma, beta, **attributes).y
    )


def _check(x: tf.Tensor, groups: int, activation: str) -> None:
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


# Gradients. TensorFlow finds them by the name of the op, even without the library.


def _attributes(op: tf.Operation) -> dict[str, Any]:
    return {
        "groups": op.get_attr("groups"),
        "epsilon": op.get_attr("epsilon"),
        "activation": tf.compat.as_str(op.get_attr("activation")),
    }


@tf.RegisterGradient("TfStudent>GroupNormSilu")
def _gradient(op, dy, dmean, drstd):
    """Ignores the gradients of the statistics, which do not leave this module."""
    del dmean, drstd
    x, gamma, beta = op.inputs
    return _library().tf_student_group_norm_silu_grad(
        dy, x, gamma, beta, op.outputs[1], op.outputs[2], **_attributes(op)
    )


@tf.RegisterGradient("TfStudent>BiasGroupNormSilu")
def _bias_gradient(op, dy, dmean, drstd):
    """Ignores the gradients of the statistics, which do not leave this module."""
    del dmean, drstd
    x, bias, gamma, beta = op.inputs
    dx, dbias, *rest = _library().tf_student_bias_group_norm_silu_grad(
        dy, x, bias, gamma, beta, op.outputs[1], op.outputs[2], **_attributes(op)
    )
    return [dx, tf.squeeze(dbias, 1), *rest]


@tf.RegisterGradient("TfStudent>GroupNormSiluGrad")
def _second_gradient(op, *upstream):
    dy, x, gamma, beta, _, _ = op.inputs

    def formula(x, gamma, beta):
        return reference.group_norm_silu(x, gamma, beta, **_attributes(op))

    return [*_gradient_of_gradient(formula, dy, (x, gamma, beta), upstream), None, None]


@tf.RegisterGradient("TfStudent>BiasGroupNormSiluGrad")
def _second_bias_gradient(op, *upstream):
    dy, x, bias, gamma, beta, _, _ = op.inputs

    def formula(x, bias, gamma, beta):
        return reference.group_norm_silu(x, gamma, beta, bias, **_attributes(op))

    inputs = (x, bias, gamma, beta)
    upstream = [upstream[0], tf.squeeze(upstream[1], 1), *upstream[2:]]
    return [*_gradient_of_gradient(formula, dy, inputs, upstream), None, None]


def _gradient_of_gradient(formula, dy, inputs, upstream):
    """Differentiates the gradient of a formula with respect to dy and the inputs.

    The formula computes the statistics from x, so the gradient of x includes their
    part, and the statistics that the op receives have no gradient.
    """
    sources = (dy, *inputs)
    with tf.GradientTape() as outer:
        outer.watch(sources)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            y = formula(*inputs)
        gradients = inner.gradient(y, inputs, output_gradients=dy)
    return outer.gradient(gradients, sources, output_gradients=list(upstream))


# XLA registers kernels when it compiles for the first time, and none after that.
_library()
