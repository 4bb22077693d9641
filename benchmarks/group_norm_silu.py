"""Compares the fused GroupNorm-SiLU op with Keras and PyTorch in the same run.

    python benchmarks/group_norm_silu.py [--rounds=N] [--shapes=K] [--scale_shift]

Each implementation runs in its own process and the processes take turns, so that other
load on the machine affects all of them. Each result is the shortest time of a call over
the rounds. TensorFlow makes many calls inside one `tf.function`, each on the result of
the previous one. PyTorch, if it is installed, runs eager and compiled, with contiguous
and with channels-last tensors.

With --scale_shift each image is scaled and shifted between the normalization and SiLU:
by the op's own parameters, and in Keras by two operations after the layer.
"""

import argparse
import ctypes
import functools
import importlib.util
import os
import threading

import numpy as np
import peers

# Batch, channels, height, width.
SHAPES = ((16, 128, 32, 32), (16, 256, 16, 16), (8, 128, 64, 64), (2, 128, 256, 256))
GROUPS, EPSILON = 32, 1e-6
PASSES = ("forward", "forward+backward")


def calls(shape) -> int:
    """Returns the number of calls in a round; many, to hide the overhead of a round."""
    return int(np.clip(2**26 // np.prod(shape), 2, 16))


# The implementations. Each function returns a function that makes `calls` calls.


def tensorflow_peer(formula, shape, backward: bool, scale_shift: bool):
    """Chains calls of `formula(x, gamma, beta)` in a graph."""
    import tensorflow as tf

    n, c, h, w = shape
    x, dy = tf.random.normal([n, h, w, c]), tf.random.normal([n, h, w, c])
    size = [n, c] if scale_shift else [c]
    gamma, beta = tf.random.normal(size), tf.random.normal(size)

    @tf.function
    def step(x, dy, gamma, beta):
        parameters = []
        for _ in range(calls(shape)):
            if not backward:
                x = formula(x, gamma, beta)
                continue
            with tf.GradientTape() as tape:
                tape.watch((x, gamma, beta))
                y = formula(x, gamma, beta)
            x, *more = tape.gradient(y, (x, gamma, beta), dy)
            parameters += more
        return tf.reduce_sum(x[:, 0, 0]), parameters

    return lambda: step(x, dy, gamma, beta)[0].numpy()


def fused(x, gamma, beta):
    """Calls the fused op."""
    from tf_student.custom_ops.group_norm_silu.python import ops

    return ops.group_norm_silu(x, gamma, beta, groups=GROUPS, epsilon=EPSILON)


@functools.cache
def _keras_layer(channels: int):
    import keras

    layer = keras.layers.GroupNormalization(GROUPS, epsilon=EPSILON)
    layer.build((None, None, None, channels))
    return layer


def keras_peer(shape, backward: bool, scale_shift: bool):
    """Calls the Keras layer, which has its own parameters, and SiLU."""
    import keras
    import tensorflow as tf

    layer = _keras_layer(shape[1])
    n, c, h, w = shape
    x, dy = tf.random.normal([n, h, w, c]), tf.random.normal([n, h, w, c])
    scale, shift = tf.random.normal([n, 1, 1, c]), tf.random.normal([n, 1, 1, c])
    weights = [layer.gamma.value, layer.beta.value]
    weights += [scale, shift] if scale_shift else []

    def formula(x):
        y = layer(x)
        return keras.ops.silu(y * (1.0 + scale) + shift if scale_shift else y)

    @tf.function
    def step(x, dy):
        parameters = []
        for _ in range(calls(shape)):
            if not backward:
                x = formula(x)
                continue
            with tf.GradientTape() as tape:
                tape.watch((x, scale, shift))
                y = formula(x)
            x, *more = tape.gradient(y, (x, *weights), dy)
            parameters += more
        return tf.reduce_sum(x[:, 0, 0]), parameters

    return lambda: step(x, dy)[0].numpy()


def torch_peer(shape, backward: bool, compiled: bool, channels_last: bool):
    """Calls group_norm and silu of PyTorch."""
    import torch

    def formula(x, gamma, beta):
        y = torch.nn.functional.group_norm(x, GROUPS, gamma, beta, EPSILON)
        return torch.nn.functional.silu(y)

    formula = torch.compile(formula) if compiled else formula
    torch.set_num_threads(os.cpu_count())
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, dy = (torch.randn(shape).to(memory_format=layout) for _ in range(2))
    parameters = [torch.randn(shape[1], requires_grad=backward) for _ in range(2)]

    def forward():
        y = x
        with torch.no_grad():
            for _ in range(calls(shape)):
                y = formula(y, *parameters)

    def both():
        v = x
        for _ in range(calls(shape)):
            v = v.detach().requires_grad_()
            y = formula(v, *parameters)
            v = torch.autograd.grad(y, (v, *parameters), dy)[0]

    return both if backward else forward


def copy_peer(shape):
    """Copies x with two threads."""
    size = int(np.prod(shape)) * 4
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    half = size // 2

    def part(offset):
        ctypes.memmove(target.ctypes.data + offset, source.ctypes.data + offset, half)

    def copy():
        for _ in range(calls(shape)):
            threads = [threading.Thread(target=part, args=(i * half,)) for i in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    return copy


def make(case: dict):
    """Returns the function to time for a case."""
    peer, shape, backward = case["peer"], case["shape"], case["backward"]
    if peer == "copy":
        return copy_peer(shape)
    if peer == "fused":
        return tensorflow_peer(fused, shape, backward, case["scale_shift"])
    if peer == "keras":
        return keras_peer(shape, backward, case["scale_shift"])
    _, how, layout = peer.split("-")
    return torch_peer(shape, backward, how == "compiled", layout == "last")


def measure(workers, shape, rounds: int, **case) -> dict[str, float]:
    """Returns the shortest seconds of a call for each implementation."""
    case = {"shape": shape, **case}
    results = peers.alternate(workers, case, rounds)
    return {name: each["seconds"] / calls(shape) for name, each in results.items()}


def geometric_mean(values) -> float:
    """Returns the geometric mean of positive numbers."""
    return float(np.exp(np.mean(np.log(list(values)))))


def report(
    name: str, times: dict, against: dict[str, list[str]]
) -> dict[tuple[str, str], float]:
    """Prints, for one pass, a line for each shape and the geometric means.

    Returns:
        For the pass and each peer, how many times as fast the op is in the mean.
    """
    print(f"\n{name}, milliseconds (ratio to the op)")
    ratios = {peer: [] for peer in against}
    for shape, of_shape in times.items():
        own = of_shape["fused"]
        cells = [f"fused {own * 1e3:8.3f}"]
        for peer, names in against.items():
            best = min(names, key=of_shape.get)
            ratios[peer].append(of_shape[best] / own)
            label = peer if len(names) == 1 else f"{peer} ({best.partition('-')[2]})"
            cells.append(
                f"{label} {of_shape[best] * 1e3:8.3f} ({ratios[peer][-1]:.2f})"
            )
        print(f"  {','.join(map(str, shape)):16} " + "   ".join(cells))
    for peer, values in ratios.items():
        mean, least = geometric_mean(values), min(values)
        print(f"  against {peer}: {mean:.2f} times faster, at least {least:.2f}")
    return {(name, peer): geometric_mean(values) for peer, values in ratios.items()}


def report_bandwidth(times: dict) -> None:
    """Prints the bandwidth of the forward pass beside that of a copy."""
    print(
        "\nbandwidth of the forward pass (x read twice, y written), relative to a copy"
    )
    for shape, of_shape in times.items():
        ratio = 1.5 * of_shape["copy"] / of_shape["fused"]
        copied = 8 * np.prod(shape) / of_shape["copy"] / 1e9
        print(f"  {','.join(map(str, shape)):16} {ratio:.2f} of {copied:.1f} GB/s")


def compare(
    names: str, shapes: int, rounds: int, scale_shift: bool = False
) -> dict[tuple[str, str], float]:
    """Measures and prints everything.

    Args:
        names: peers, separated by commas.
        shapes: the number of shapes.
        rounds: how often all processes take turns.
        scale_shift: whether each image has its own parameters.

    Returns:
        For each pass and peer, how many times as fast the op is in the mean.
    """
    against = {"keras": ["keras"]} if "keras" in names else {}
    if "pytorch" in names and importlib.util.find_spec("torch"):
        against["pytorch"] = [
            f"torch-{how}-{layout}"
            for how in ("eager", "compiled")
            for layout in ("contiguous", "last")
        ]
    processes = ["copy", "fused", *(n for group in against.values() for n in group)]
    workers = [peers.Peer(name, __file__) for name in processes]
    times, means = {}, {}
    for backward, name in enumerate(PASSES):
        case = {"backward": bool(backward), "scale_shift": scale_shift}
        times[name] = {
            shape: measure(workers, shape, rounds, **case) for shape in SHAPES[:shapes]
        }
        means |= report(name, times[name], against)
    for worker in workers:
        worker.close()
    report_bandwidth(times["forward"])
    return means


def main() -> None:
    """Measures and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--shapes", type=int, default=len(SHAPES))
    parser.add_argument("--peers", default="keras,pytorch")
    parser.add_argument("--scale_shift", action="store_true")
    args = parser.parse_args()
    if args.worker:
        return peers.serve(make)
    print(peers.cpu())
    names = "keras" if args.scale_shift else args.peers
    compare(names, args.shapes, args.rounds, args.scale_shift)


if __name__ == "__main__":
    main()
