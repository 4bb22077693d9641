"""Measures the writer against bare sampling, the reader against training, and sizes.

    python benchmarks/pairs.py [--rounds=15] [--training]

The writer and a bare sampling loop take turns with the same sampler and the same
shards; the ratio is the median over these rounds. The writer with a trivial sampler
gives an upper bound of the time that storing adds. With --training, the reader takes
turns with the training step of the CIFAR-10 student, which takes minutes on a CPU. The
writer's memory is that of a process with a trivial sampler.
"""

import argparse
import dataclasses
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import peers
import tensorflow as tf

from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.generator import Generator
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.pairs import manifests, writer
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.presets import systems
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig
from tf_student.training import phases
from tf_student.training.state import TrainState
from tf_student.training.step import make_train_step
from tf_student.training.student_task import student_loss

SIZES = (8, 32, 64, 256)


def plan(
    shape: tuple[int, int, int], pairs: int, *, shard_pairs: int = 1024, **options
) -> manifests.Manifest:
    """The manifest of a set with one held-out pair."""
    return manifests.plan(
        "a teacher",
        shape,
        DiffusionConfig(),
        SamplerConfig(),
        PairsConfig(pairs=pairs, held_out_pairs=1, shard_pairs=shard_pairs, **options),
        RunConfig(),
    )


def seconds(function: Callable[[], None]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def digits_sampler() -> Generator:
    """The digits teacher's sampler, with a network that has not been trained."""
    system, run = systems.DIGITS, RunConfig()
    teacher = Teacher(UNet(system.unet), system.diffusion)
    return teacher.generator(devices.make_strategy(), system.sampler, run)


def write_against_bare_loop(rounds: int, batches: int) -> None:
    """Prints the time that storing adds to sampling, shard by shard."""
    sample = digits_sampler()
    pairs, shape = batches * sample.batch, sample.shape
    manifest = plan(shape, (rounds + 1) * pairs, shard_pairs=pairs)

    def bare(shard):
        end = shard.first_index + shard.pairs
        for first in range(shard.first_index, end, sample.batch):
            indices = np.arange(first, first + sample.batch)
            sample(noise.normal(0, indices, shape).numpy())

    def write(shard):
        writer.write_shard(directory, manifest, shard, sample, sample.batch)

    def write_trivial(shard):
        writer.write_shard(other, manifest, shard, trivial, sample.batch)

    times = []
    with (
        tempfile.TemporaryDirectory() as directory,
        tempfile.TemporaryDirectory() as other,
    ):
        shards = writer.prepare(directory, manifest, manifest.split(manifests.TRAIN))
        writer.prepare(other, manifest, shards)
        for number, shard in enumerate(shards):
            # The order alternates too.
            turns = [bare, write, write_trivial][:: -1 if number % 2 else 1]
            taken = {turn: seconds(lambda t=turn, s=shard: t(s)) for turn in turns}
            times.append((taken[bare], taken[write], taken[write_trivial]))
    # The first shard includes tracing.
    report_writing(times[1:], pairs)


def report_writing(times: list[tuple[float, float, float]], pairs: int) -> None:
    """Prints the seconds of the loop, the writer and the trivial writer, by shard."""
    ratios = [stored / bare for bare, stored, _ in times]
    least = [min(column) for column in zip(*times, strict=True)]
    print(
        f"bare sampling loop {1000 * least[0] / pairs:.2f} ms a pair "
        f"({len(times)} shards of {pairs:,} pairs of 8x8, 20 calls)"
    )
    print(
        f"writer / bare loop {statistics.median(ratios):.3f} in the median "
        f"({min(ratios):.3f} to {max(ratios):.3f}), "
        f"{least[1] / least[0]:.3f} of the least times"
    )
    print(
        f"writer with a trivial sampler {1000 * least[2] / pairs:.3f} ms a pair, noise "
        f"included: {least[2] / least[0]:.1%} of the loop"
    )


def trivial(z: np.ndarray) -> np.ndarray:
    """A sampler that takes no time."""
    return np.full(z.shape, 127, np.uint8)


def smooth(z: np.ndarray) -> np.ndarray:
    """Blurs and rounds noise, so that PNG can compress it."""
    small = tf.nn.avg_pool2d(z, 2, 1, "SAME")
    return np.clip(np.round(small.numpy() * 60 + 128), 0, 255).astype(np.uint8)


def bytes_a_pair() -> None:
    """Prints the bytes of a pair on disk, by encoding."""
    print("\nbytes a value   raw     png   float16 noise and uint8 image")
    for size in SIZES:
        shape, values = (size, size, 3), size * size * 3
        sizes = []
        for encoding in ("raw", "png"):
            with tempfile.TemporaryDirectory() as directory:
                manifest = plan(shape, 256, encoding=encoding)
                done = writer.write_pairs(directory, manifest, smooth, batch=64)
                sizes.append(sum(s.size for s in done.shards) / 257 / values)
        print(f"{size:3}x{size:<3}        {sizes[0]:6.3f}  {sizes[1]:6.3f}   3.000")


def memory(counts: tuple[int, ...]) -> None:
    """Prints the writer's peak memory; each count runs in its own process."""
    fork = multiprocessing.get_context("fork")
    for count in counts:
        process = fork.Process(target=write_and_report_memory, args=(count,))
        process.start()
        process.join()
        assert process.exitcode == 0


def write_and_report_memory(count: int) -> None:
    """Writes `count` pairs and prints how much memory they took."""
    # 100,000 images of 32x32 are 0.3 GB, and their noise is 1.2 GB.
    shape = (32, 32, 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as directory:
        writer.write_pairs(
            directory,
            plan(shape, count),
            trivial,
            batch=256,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:7,} pairs of 32x32, a trivial sampler: peak {peak:,.0f} MiB, "
        f"{peak - before:,.0f} MiB more than before",
        flush=True,
    )


def read_against_training(rounds: int) -> None:
    """Prints how many times faster the reader is than the CIFAR-10 student trains."""
    train = training(systems.CIFAR10, batch=16)
    for size, count in ((32, 16_384), (256, 2_048)):
        with tempfile.TemporaryDirectory() as directory:
            writer.write_pairs(
                directory, plan((size, size, 3), count), smooth, batch=64
            )
            pairs = PairSet(directory).train(seed=0, start=0).batch(64)
            # Without prefetching, which would continue while training takes its turn.
            batches = iter(pairs)

            # An epoch includes the window that is read before its first pair.
            def read(batches=batches, count=count):
                for _ in range(count // 64):
                    next(batches)

            read()
            rates = [
                (16 / seconds(train), count / seconds(read)) for _ in range(rounds)
            ]
        trained, read_pairs = (max(column) for column in zip(*rates, strict=True))
        ratios = [reads / trains for trains, reads in rates]
        print(
            f"reader at {size}x{size}: {read_pairs:,.0f} pairs a second, "
            f"{statistics.median(ratios):,.0f} times the {trained:.1f} on which the "
            f"CIFAR-10 student trains ({min(ratios):,.0f} to {max(ratios):,.0f})"
        )


def training(system: systems.Preset, batch: int) -> Callable[[], None]:
    """The student's training step; a call returns when the step has ended."""
    strategy = devices.make_strategy()
    train = dataclasses.replace(system.student, batch_size=batch)
    state = TrainState(strategy, lambda: Student(UNet(system.unet)), train)

    def loss(model, pair, seed):
        return student_loss(model, pair, seed, distance="l1")

    step = make_train_step(
        strategy,
        state,
        phases.single(state, loss, train.clip_norm),
        config=train,
        xla=devices.use_xla("auto"),
    )
    z = tf.random.normal([batch, *system.unet.image_shape])
    image = images.to_uint8(z)

    def run():
        float(step((z, image), tf.constant(0.0)).values["loss"])

    run()
    return run


def main() -> None:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batches", type=int, default=8, help="of a shard")
    parser.add_argument("--training", action="store_true")
    arguments = parser.parse_args()
    print(peers.cpu(), flush=True)
    # Before TensorFlow starts threads, which a forked process does not have.
    memory((1_000, 100_000))
    print()
    write_against_bare_loop(arguments.rounds, arguments.batches)
    bytes_a_pair()
    if arguments.training:
        print()
        read_against_training(arguments.rounds)


if __name__ == "__main__":
    main()
