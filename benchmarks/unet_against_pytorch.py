"""The UNet against diffusers' UNet2DModel in PyTorch, in ratios of one run.

    python benchmarks/unet_against_pytorch.py [--cases=NAME,...] [--rounds=N]

Both have the same architecture, from one config, and random weights. A training step
is L1, backward and Adam; this project's also averages the weights, clips and counts.
PyTorch takes part eagerly, eagerly with channels-last tensors and compiled; each is
tried alone, then the fastest takes turns with this project's, one process each. A
figure is the least time over the rounds, and the peak memory of the whole process.
"""

import argparse
import dataclasses
import os

import peers

from tf_student.presets import systems

# System, batch, bfloat16, training; and what this project's time may be of PyTorch's.
CASES = {
    "inference-8": ("cifar10", 8, False, False, 0.90),
    "training-8": ("cifar10", 8, False, True, 0.90),
    "training-16": ("cifar10", 16, False, True, 0.90),
    "inference-bfloat16-32": ("cifar10", 32, True, False, 0.90),
    "small-training-64": ("small", 64, False, True, 0.75),
}
TORCH = ("eager", "eager-last", "compiled-last", "compiled")


def network(system: str):
    """The config of a network, without dropout."""
    if system == "small":
        digits = systems.DIGITS.unet
        return dataclasses.replace(digits, image_size=32, attention_resolutions=(16,))
    return dataclasses.replace(systems.get_preset(system).unet, dropout=0.0)


def tensorflow_peer(config, batch: int, bfloat16: bool, training: bool):
    """This project's inference or training step."""
    import keras
    import tensorflow as tf

    from tf_student.diffusion import losses
    from tf_student.models.student import Student
    from tf_student.models.unet import UNet
    from tf_student.runtime import devices
    from tf_student.training.state import TrainState
    from tf_student.training.step import make_train_step

    if bfloat16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    z = tf.random.normal([batch, *config.image_shape])
    if not training:
        unet = UNet(config)
        t = tf.fill([batch], 500)
        call = tf.function(lambda x: unet(x, t))
        return lambda: call(z).numpy()
    train = dataclasses.replace(systems.DIGITS.student, batch_size=batch)
    strategy = devices.make_strategy(["CPU:0"])
    state = TrainState(strategy, lambda: Student(UNet(config)), train)

    def loss(model, pair, seed):
        x, image = pair
        generated = model(x, training=True, seed=seed)
        return losses.distillation_loss(generated, image, distance="l1")

    step = make_train_step(strategy, state, loss, config=train, xla=False)
    return lambda: float(step((z, z), tf.constant(0.0)).loss)


def torch_peer(config, batch: int, bfloat16: bool, training: bool, how: str):
    """PyTorch's, one of `TORCH`."""
    import diffusers
    import torch

    from tf_student.convert.diffusers_config import write_config

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

    def step():
        adam.zero_grad()
        loss = (network(z, t).sample - z).abs().mean()
        loss.backward()
        adam.step()
        return float(loss)

    return step


def make(case: dict):
    """What a process times."""
    system, *how = case["case"]
    config = network(system)
    if case["peer"] == "tf_student":
        return tensorflow_peer(config, *how)
    return torch_peer(config, *how, case["peer"])


def measure(name: str, rounds: int) -> None:
    """Prints a line for each peer of a case, and the ratio."""
    *case, limit = CASES[name]
    case = {"case": case}
    alone = {}
    for how in TORCH:
        peer = peers.Peer(how, __file__)
        alone[how] = peers.alternate([peer], case, 3)[how]
        peer.close()
        print(f"{name:22} {how:14} {alone[how]['seconds'] * 1e3:9.1f} ms", flush=True)
    best = min(alone, key=lambda how: alone[how]["seconds"])
    pair = [peers.Peer("tf_student", __file__), peers.Peer(best, __file__)]
    ours, theirs = peers.alternate(pair, case, rounds).values()
    for peer in pair:
        peer.close()
    for label, found in (("tf_student", ours), (best, theirs)):
        print(
            f"{name:22} {label:14} {found['seconds'] * 1e3:9.1f} ms  "
            f"{found['peak'] / 2**30:6.2f} GiB"
        )
    print(
        f"{name:22} time {ours['seconds'] / theirs['seconds']:.3f} of PyTorch's "
        f"(asked {limit}), memory {ours['peak'] / theirs['peak']:.3f}",
        flush=True,
    )


def main() -> None:
    """Measures the cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", default=",".join(CASES))
    arguments = parser.parse_args()
    if arguments.worker:
        return peers.serve(make)
    for name in arguments.cases.split(","):
        measure(name, arguments.rounds)


if __name__ == "__main__":
    main()
