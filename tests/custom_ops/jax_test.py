"""A second client of the library's XLA handlers."""

import ctypes
import functools

import numpy as np
import pytest
from tf_student.custom_ops.group_norm_silu.python import ops

from tests.custom_ops import float64
from tests.tolerances import assert_close

jax = pytest.importorskip("jax")
if not ops.library_loaded():
    pytest.skip("the op's library was not built", allow_module_level=True)

GROUPS, EPSILON = 4, 1e-6
NAMES = ("GroupNormSilu", "GroupNormSiluGrad")


@pytest.fixture(scope="module", autouse=True)
def handlers():
    jax.config.update("jax_platforms", "cpu")
    library = ctypes.CDLL(ops.library_path())
    for name in [f"{bias}{name}" for bias in ("", "Bias") for name in NAMES]:
        handler = jax.ffi.pycapsule(getattr(library, f"TfStudent{name}Host"))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")


def ffi(name, outputs, *inputs, groups=GROUPS):
    types = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in outputs]
    return jax.ffi.ffi_call(name, types)(
        *inputs,
        groups=np.int64(groups),
        epsilon=np.float32(EPSILON),
        activation="silu",
    )


@functools.partial(jax.custom_vjp)
def op(x, bias, gamma, beta):
    return forward(x, bias, gamma, beta)[0]


def forward(x, bias, gamma, beta):
    statistics = ((x.shape[0], GROUPS), np.float32)
    y, *saved = ffi(
        "BiasGroupNormSilu",
        [(x.shape, x.dtype), statistics, statistics],
        x,
        bias,
        gamma,
        beta,
    )
    return y, (x, bias, gamma, beta, *saved)


def backward(saved, dy):
    outputs = [(t.shape, t.dtype) for t in saved[:4]]
    return tuple(ffi("BiasGroupNormSiluGrad", outputs, dy, *saved))


op.defvjp(forward, backward)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    shape = (2, 50, 41, 24)
    draws = [shape, (2, 24), (24,), (24,), shape]
    return [rng.normal(size=s).astype(np.float32) for s in draws]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_value_and_gradient_in_jax(case, dtype):
    x, bias, gamma, beta, dy = case
    x, bias, dy = (jax.numpy.asarray(t, dtype) for t in (x, bias, dy))

    @jax.jit
    def run(x, bias, gamma, beta, dy):
        y, pull = jax.vjp(op, x, bias, gamma, beta)
        return (y, *pull(dy))

    y, dx, dbias, dgamma, dbeta = run(x, bias, gamma, beta, dy)
    expected = float64.value_and_gradients(
        x, gamma, beta, bias, dy, groups=GROUPS, epsilon=EPSILON, activation="silu"
    )
    for actual, exact in zip((y, dx, dgamma, dbeta, dbias), expected, strict=True):
        assert_close(actual, exact, str(actual.dtype))


def test_without_a_bias(case):
    x, _, gamma, beta, dy = case
    statistics = ((2, GROUPS), np.float32)
    like_x, like_gamma = (x.shape, x.dtype), (gamma.shape, gamma.dtype)
    y, mean, rstd = ffi(
        "GroupNormSilu", [like_x, statistics, statistics], x, gamma, beta
    )
    gradients = ffi(
        "GroupNormSiluGrad",
        [like_x, like_gamma, like_gamma],
        *(dy, x, gamma, beta, mean, rstd),
    )
    expected = float64.value_and_gradients(
        x, gamma, beta, None, dy, groups=GROUPS, epsilon=EPSILON, activation="silu"
    )
    for actual, exact in zip((y, *gradients), expected, strict=True):
        assert_close(actual, exact)


def test_wrong_groups_are_refused(case):
    x, _, gamma, beta, _ = case
    outputs = [(x.shape, x.dtype), ((2, 5), np.float32), ((2, 5), np.float32)]
    with pytest.raises(Exception, match=r"`groups` must divide.*groups=5, channels=24"):
        jax.block_until_ready(ffi("GroupNormSilu", outputs, x, gamma, beta, groups=5))


def test_wrong_types_are_refused(case):
    x, _, gamma, beta, _ = case
    statistics = ((2, GROUPS), np.float32)
    outputs = [(x.shape, x.dtype), statistics, statistics]
    half = gamma.astype(np.float16)
    with pytest.raises(Exception, match=r"Parameters, statistics .* must be float32"):
        jax.block_until_ready(ffi("GroupNormSilu", outputs, x, half, beta))
