"""Times the UNet against diffusers' UNet2DModel in PyTorch.

    python benchmarks/unet_against_pytorch.py [--cases=NAME,...] [--rounds=N]

Both have the same architecture, from one config, and random weights. A training step
computes the L1 loss, the gradients and their norm, an Adam update and an EMA update of
the weights. Each way of running PyTorch (eager, eager with channels-last tensors,
compiled) is measured first; the fastest one then takes turns with this project, each in
its own process. The printed time is the shortest one. The printed memory is the peak of
the process, with the imported libraries and beyond them.
"""

import argparse
import dataclasses
import os
from collections.abc import Callable

import peers

from tf_student.architecture.unet_config import UNetConfig
from tf_student.presets import systems

# Preset, batch, bfloat16, training, and the largest acceptable ratio of times.
CASES = {
    "inference-8": ("cifar10", 8, False, False, 0.90),
    "training-8": ("cifar10", 8, False, True, 0.90),
    "training-16": ("cifar10", 16, False, True, 0.90),
    "inference-bfloat16-32": ("cifar10", 32, True, False, 0.90),
    "small-training-64": ("small", 64, False, True, 0.75),
}
TORCH = ("eager", "eager-last", "compiled-last", "compiled")


def network(preset: str) -> UNetConfig:
    """Returns the config of a network without dropout."""
    if preset == "small":
        digits = systems.get_preset("digits").unet
        return dataclasses.replace(digits, image_size=32, attention_resolutions=(16,))
    return dataclasses.replace(systems.get_preset(preset).unet, dropout=0.0)


def tensorflow_peer(
    config: UNetConfig, batch: int, bfloat16: bool, training: bool
) -> Callable[[], object]:
    """Returns this project's inference or training step."""
    import keras
    import student_step
    import tensorflow as tf

    from tf_student.models.unet import UNet

    if bfloat16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    if training:
        digits = systems.get_preset("digits").student
        train = dataclasses.replace(digits, batch_size=batch)
        return student_step.make_step(config, train)
    unet, t = UNet(config), tf.fill([batch], 500)
    z = tf.random.normal([batch, *config.image_shape])
    call = tf.function(lambda x: unet(x, t))
    return lambda: call(z).numpy()


def torch_peer(
    config: UNetConfig, batch: int, bfloat16: bool, training: bool, how: str
) -> Callable[[], object]:
    """Returns PyTorch's inference or training step, run in one of the ways `TORCH`."""
    import diffusers
    import torch

    from tf_student.convert.diffusers_written import write_config

    torch.set_num_threads(os.cpu_count())
    values = {k: v for k, v in write_config(config).items() if not k.startswith("_")}
    model = diffusers.UNet2DModel(**values)
    shape = (batch, config.channels, config.image_size, config.image_size)
    z, t = torch.randn(shape), torch.full((batch,), 500)
    if how.endswith("last"):
        model = model.to(memory_format=torch.channels_last)
        z = z.to(memory_format=torch.channels_last)
    network = torch.compile(model) if how.startswith("compiled") else model
    if not training:
        model.eval()
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)

        def infer():
            with torch.no_grad(), autocast:
                return network(z, t).sample

        return infer
    adam = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    swa = torch.optim.swa_utils
    average = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.999))

    def step():
        adam.zero_grad()
        loss = (network(z, t).sample - z).abs().mean()
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        adam.step()
        average.update_parameters(model)
        return float(loss), float(norm)

    return step


def libraries(case: dict) -> object:
    """Imports what a process needs."""
    if case["peer"] == "tf_student":
        import student_step

        return student_step
    import diffusers

    import tf_student.convert.diffusers_written

    return diffusers.UNet2DModel, tf_student.convert.diffusers_written


def make(case: dict) -> Callable[[], object]:
    """Returns the function that a process times."""
    preset, *how = case["case"]
    config = network(preset)
    if case["peer"] == "tf_student":
        return tensorflow_peer(config, *how)
    return torch_peer(config, *how, case["peer"])


def measure(name: str, rounds: int) -> tuple[float, float]:
    """Prints a line for each peer of a case, and the ratios.

    Returns:
        The time and the memory as parts of those of PyTorch's best way.
    """
    *options, limit = CASES[name]
    case = {"case": options}
    torch = {}
    for how in TORCH:
        peer = peers.Peer(how, __file__)
        torch[how] = peers.alternate([peer], case, 3)[how]
        peer.close()
        print(f"{name:22} {how:14} {torch[how]['seconds'] * 1e3:9.1f} ms", flush=True)
    best = min(torch, key=lambda how: torch[how]["seconds"])
    pair = [peers.Peer("tf_student", __file__), peers.Peer(best, __file__)]
    ours, theirs = peers.alternate(pair, case, rounds).values()
    for peer in pair:
        peer.close()
    for label, measured in (("tf_student", ours), (best, theirs)):
        print(
            f"{name:22} {label:14} {measured['seconds'] * 1e3:9.1f} ms  "
            f"{measured['peak'] / 2**30:6.2f} GiB, "
            f"{measured['added'] / 2**30:.2f} beyond libraries"
        )
    time, memory, added = (ours[k] / theirs[k] for k in ("seconds", "peak", "added"))
    print(
        f"{name:22} time {time:.3f} of PyTorch's (limit {limit}), memory {memory:.3f}, "
        f"beyond libraries {added:.3f}",
        flush=True,
    )
    return time, memory


def main() -> None:
    """Measures the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default=",".join(CASES))
    arguments = parser.parse_args()
    if arguments.worker:
        return peers.serve(make, libraries)
    print(peers.cpu())
    for name in arguments.cases.split(","):
        measure(name, arguments.rounds)


if __name__ == "__main__":
    main()
