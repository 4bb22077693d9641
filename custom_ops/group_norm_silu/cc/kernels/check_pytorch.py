"""Times the CUDA launchers against eager and compiled group_norm and SiLU of PyTorch.

    python check_pytorch.py LIBRARY

`make build` in this folder writes LIBRARY. Without PyTorch or a GPU, the script prints
a message and exits with code 0. PyTorch uses channels-last tensors, as the launchers
do.
"""

import ctypes
import importlib.util
import statistics
import sys

GROUPS = 32
EPSILON = 1e-6
SHAPES = (
    (16, 128, 32, 32),
    (16, 256, 16, 16),
    (8, 128, 64, 64),
    (2, 128, 256, 256),
    (64, 128, 256, 256),
)
DTYPES = ("float32", "bfloat16")


class Problem(ctypes.Structure):
    """The struct `Problem` of the launchers."""

    _fields_ = [
        ("batch", ctypes.c_int64),
        ("positions", ctypes.c_int64),
        ("channels", ctypes.c_int64),
        ("groups", ctypes.c_int64),
        ("epsilon", ctypes.c_float),
        ("silu", ctypes.c_bool),
        ("dtype", ctypes.c_int),
        ("own_parameters", ctypes.c_bool),
    ]


class Launchers:
    """Calls the functions of the shared library with tensors."""

    def __init__(self, path: str):
        self._library = ctypes.CDLL(path)
        for name in ("tfs_forward_scratch", "tfs_backward_scratch"):
            getattr(self._library, name).restype = ctypes.c_size_t

    def _call(self, name, torch, problem, *tensors):
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in tensors]
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        error = getattr(self._library, name)(stream, ctypes.byref(problem), *pointers)
        if error:
            raise RuntimeError(f"{name} returned CUDA error {error}")

    def make(self, torch, x, dy, gamma, beta):
        """Returns the forward call, the backward call and their output tensors."""
        batch, channels, height, width = x.shape
        problem = Problem(
            *(batch, height * width, channels, GROUPS, EPSILON, True),
            DTYPES.index(str(x.dtype).removeprefix("torch.")),
        )

        def scratch(name):
            size = getattr(self._library, name)(ctypes.byref(problem))
            return torch.empty(size, dtype=torch.uint8, device="cuda")

        y, dx = torch.empty_like(x), torch.empty_like(x)
        mean, rstd = torch.empty(2, batch, GROUPS, device="cuda")
        dgamma, dbeta = torch.empty(2, channels, device="cuda")
        ahead, back = scratch("tfs_forward_scratch"), scratch("tfs_backward_scratch")

        def forward():
            tensors = (x, gamma, beta, y, mean, rstd, ahead)
            self._call("tfs_forward", torch, problem, *tensors)

        def backward():
            tensors = (dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, back)
            self._call("tfs_backward", torch, problem, *tensors)

        return forward, backward, (y, dx, dgamma, dbeta)


def seconds(torch, run) -> float:
    """Returns the median of 30 timings, after 5 warm-up runs."""
    times = []
    for i in range(35):
        start = torch.cuda.Event(enable_timing=True)
        stop = torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        stop.record()
        stop.synchronize()
        if i >= 5:
            times.append(start.elapsed_time(stop) / 1e3)
    return statistics.median(times)


def check(name, got, want, tolerance):
    """Raises an error if two tensors differ."""
    error = (got.float() - want.float()).norm() / want.float().norm()
    if not error <= tolerance:
        raise RuntimeError(f"{name} differs from PyTorch's: relative error {error:.2e}")


def compare(torch, launchers, shape, dtype):
    """Prints the microseconds of one shape, forward and backward."""
    x, dy = (
        torch.randn(shape, device="cuda", dtype=getattr(torch, dtype)).to(
            memory_format=torch.channels_last
        )
        for _ in range(2)
    )
    gamma, beta = torch.randn(2, shape[1], device="cuda")

    def formula(x, gamma, beta):
        norm = torch.nn.functional.group_norm(x, GROUPS, gamma, beta, EPSILON)
        return torch.nn.functional.silu(norm)

    forward, backward, results = launchers.make(torch, x, dy, gamma, beta)
    rows = {"fused": (seconds(torch, forward), seconds(torch, backward))}
    weights = [t.to(x.dtype).requires_grad_() for t in (x, gamma, beta)]
    for name, call in (("eager", formula), ("compiled", torch.compile(formula))):
        with torch.no_grad():
            ahead = seconds(torch, lambda call=call: call(*weights))
        y = call(*weights)

        def back(y=y):
            return torch.autograd.grad(y, weights, dy, retain_graph=True)

        rows[name] = (ahead, seconds(torch, back))
        tolerance = 1e-4 if dtype == "float32" else 2e-2
        for label, got, want in zip(
            ("y", "dx", "dgamma", "dbeta"), results, (y, *back()), strict=True
        ):
            check(f"{name}'s {label}", got, want, tolerance)
    print(f"{','.join(map(str, shape))} {dtype}: microseconds forward, backward")
    for name, times in rows.items():
        ratios = [t / ours for t, ours in zip(times, rows["fused"], strict=True)]
        print(
            f"  {name:9} {times[0] * 1e6:9.1f} {times[1] * 1e6:9.1f}"
            f"   {ratios[0]:5.2f} {ratios[1]:5.2f} times the fused"
        )


def main() -> int:
    """Compares every shape and dtype."""
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: no comparison with it")
        return 0
    import torch

    if not torch.cuda.is_available():
        print("PyTorch finds no GPU: no comparison with it")
        return 0
    # The timed gradients keep their graph, which donated buffers rule out.
    import torch._functorch.config

    torch._functorch.config.donated_buffer = False
    launchers = Launchers(sys.argv[1])
    for dtype in DTYPES:
        for shape in SHAPES:
            compare(torch, launchers, shape, dtype)
    return 0


if __name__ == "__main__":
    sys.exit(main())
