"""Measures writing against bare sampling, reading against training, bytes a pair.

    python benchmarks/pairs.py [--training]

The writer and the bare sampler loop take turns with the same small teacher. With
--training the reader's rate is set beside the rate at which the CIFAR-10 student
trains, which takes minutes on a CPU.
"""

import argparse
import dataclasses
import os
import resource
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf

from tf_student import config, noise, presets
from tf_student.generator import Generator
from tf_student.pairs import records, writer
from tf_student.pairs.config import PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.student import Student
from tf_student.training import distribute
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step
from tf_student.training.teacher import make_sampler
from tf_student.unet import UNet

SIZES = (8, 32, 64, 256)


def plan(shape: tuple[int, int, int], pairs: int, **options) -> records.Manifest:
    """The manifest of a set with few held-out pairs."""
    return records.plan(
        "a teacher",
        shape,
        config.DiffusionConfig(),
        config.SamplerConfig(),
        PairsConfig(pairs=pairs, held_out_pairs=1, shard_pairs=1024, **options),
        config.RunConfig(),
    )


def write_against_bare_loop(rounds: int, pairs: int) -> None:
    """Prints the time that storing adds to sampling."""
    system = presets.DIGITS
    unet = UNet(system.unet)
    shape = system.unet.image_shape
    generator = Generator(
        distribute.make_strategy(),
        make_sampler(unet, system.diffusion, system.sampler),
        shape,
        device_batch=256,
        xla=False,
    )
    times = {"bare loop": [], "writer": []}
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for first in range(0, pairs + 1, generator.batch):
            count = min(generator.batch, pairs + 1 - first)
            generator(noise.normal(0, np.arange(first, first + count), shape).numpy())
        times["bare loop"].append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as directory:
            start = time.perf_counter()
            manifest = plan(shape, pairs)
            writer.write_pairs(directory, manifest, generator, batch=generator.batch)
            times["writer"].append(time.perf_counter() - start)
    bare, stored = (statistics.median(values[1:]) for values in times.values())
    print(f"bare sampler loop {bare:8.2f} s for {pairs:,} pairs of 8x8, 20 calls")
    print(f"writer / bare loop {stored / bare:7.3f}")


def smooth(z: np.ndarray) -> np.ndarray:
    """Noise as an image that PNG can do something with: blurred, then rounded."""
    small = tf.nn.avg_pool2d(z, 2, 1, "SAME")
    return np.clip(np.round(small.numpy() * 60 + 128), 0, 255).astype(np.uint8)


def bytes_a_pair() -> None:
    """Prints what a pair takes on disk."""
    print("\nbytes a value   raw     png   float16 noise and uint8 image")
    for size in SIZES:
        shape, values = (size, size, 3), size * size * 3
        found = []
        for encoding in ("raw", "png"):
            with tempfile.TemporaryDirectory() as directory:
                manifest = plan(shape, 256, encoding=encoding)
                done = writer.write_pairs(directory, manifest, smooth, batch=64)
                found.append(sum(s.size for s in done.shards) / 257 / values)
        print(f"{size:3}x{size:<3}        {found[0]:6.3f}  {found[1]:6.3f}   3.000")


def memory(counts: tuple[int, ...]) -> None:
    """Prints the writer's peak memory, each count in a process of its own."""
    print()
    for count in counts:
        if pid := os.fork():
            os.waitpid(pid, 0)
            continue
        with tempfile.TemporaryDirectory() as directory:
            manifest = plan((8, 8, 1), count)
            writer.write_pairs(
                directory, manifest, lambda z: np.zeros(z.shape, np.uint8), batch=256
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count:,} pairs of a trivial teacher: peak {peak:,.0f} MiB", flush=True)
        os._exit(0)


def read_against_training() -> None:
    """Prints how many times faster the reader is than the CIFAR-10 student trains."""
    step_rate = training_rate(presets.CIFAR10, batch=16, steps=4)
    print(f"\nthe CIFAR-10 student trains on {step_rate:.1f} pairs a second")
    for size, count in ((32, 8192), (256, 512)):
        with tempfile.TemporaryDirectory() as directory:
            writer.write_pairs(
                directory, plan((size, size, 3), count), smooth, batch=64
            )
            pairs = PairSet(directory).train(seed=0, start=0).batch(64)
            batches = iter(pairs.prefetch(tf.data.AUTOTUNE))
            next(batches)
            start = time.perf_counter()
            for _ in range(count // 64):
                next(batches)
            rate = count // 64 * 64 / (time.perf_counter() - start)
        print(
            f"reader at {size}x{size}: {rate:,.0f} pairs a second, "
            f"{rate / step_rate:,.0f} times that"
        )


def training_rate(system: presets.Preset, batch: int, steps: int) -> float:
    """Pairs a second of the student's training step."""
    strategy = distribute.make_strategy()
    train = dataclasses.replace(system.student, batch_size=batch)
    state = TrainState(strategy, lambda: Student(UNet(system.unet)), train)

    def loss(model, batch, seed):
        z, image = batch
        return tf.reduce_sum(
            tf.abs(model(z, training=True, seed=seed) - image), [1, 2, 3]
        )

    step = make_train_step(strategy, state, loss, config=train, xla=False)
    z = tf.random.normal([batch, *system.unet.image_shape])
    step((z, z), tf.constant(0.0))
    start = time.perf_counter()
    for _ in range(steps):
        step((z, z), tf.constant(0.0))
    return batch * steps / (time.perf_counter() - start)


def main() -> None:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2048)
    parser.add_argument("--training", action="store_true")
    arguments = parser.parse_args()
    # Before TensorFlow's threads are there.
    memory((1_000, 100_000))
    write_against_bare_loop(arguments.rounds, arguments.pairs)
    bytes_a_pair()
    if arguments.training:
        read_against_training()


if __name__ == "__main__":
    main()
