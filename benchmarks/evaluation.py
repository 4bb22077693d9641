"""Times evaluation: statistics, distance and neighbours, and feature extraction.

    python benchmarks/evaluation.py [--images=50000] [--neighbours=50000] \
        [--extracted=256] [--rounds=3]

First it measures two sets of float32 features, 50,000 x 2048 as from Inception. It
prints the seconds and the peak memory of their float64 statistics and Frechet distance,
and of precision, recall, density and coverage, each in its own process.

Then it extracts features of images with FID's Inception (random weights). It compares
the extractor, with its hashing, cache and statistics, with a bare loop over the same
network. They take turns, and the printed ratio is that of the shortest times.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable

import numpy as np
import peers

DIMENSIONS = 2048


def write_features(folder: str, count: int) -> None:
    """Writes two files of features that resemble those of a layer with ReLU."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=[DIMENSIONS, DIMENSIONS]).astype(np.float32) / 50
    for number in range(2):
        with open(os.path.join(folder, str(number)), "wb") as file:
            for start in range(0, count, 1000):
                size = [min(1000, count - start), DIMENSIONS]
                part = rng.standard_normal(size, np.float32) @ mixing
                file.write(np.maximum(part + 0.1 * number, 0).data)


def map_features(folder: str, number: int, count: int) -> np.ndarray:
    """Maps one of the files."""
    path = os.path.join(folder, str(number))
    return np.memmap(path, np.float32, "r", shape=(count, DIMENSIONS))


def statistics_and_distance(folder: str, count: int) -> None:
    """Prints seconds and peak memory, which includes the mapped files."""
    from tf_student.evaluation import frechet, statistics

    before, start = _peak(), time.perf_counter()
    # Each file is unmapped before the next one is read.
    first, second = (statistics.of(map_features(folder, n, count)) for n in range(2))
    collected = time.perf_counter()
    distance = frechet.distance(first, second)
    end = time.perf_counter()
    print(
        f"2 x {count:,} x {DIMENSIONS}: statistics {collected - start:.1f} s, distance "
        f"{end - collected:.1f} s, together {end - start:.1f} s, FID "
        f"{distance:.3f}; peak {_peak():.2f} GiB, {before:.2f} before",
        flush=True,
    )


def neighbours_of(folder: str, count: int) -> None:
    """Prints seconds and peak memory, which includes the mapped files."""
    from tf_student.evaluation import neighbours

    before, start = _peak(), time.perf_counter()
    first, second = (
        neighbours.manifold(map_features(folder, n, count)) for n in range(2)
    )
    computed = time.perf_counter()
    scores = neighbours.scores(first, second)
    end = time.perf_counter()
    values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    print(
        f"2 x {count:,} x {DIMENSIONS}: neighbours {computed - start:.1f} s, scores "
        f"{end - computed:.1f} s ({values}); peak {_peak():.2f} GiB, {before:.2f} "
        "before",
        flush=True,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_a_process(function: Callable[..., None], *arguments: object) -> None:
    """Calls a function in a new process, whose memory only it uses."""
    if pid := os.fork():
        os.waitpid(pid, 0)
    else:
        function(*arguments)
        os._exit(0)


def extraction(count: int, rounds: int) -> None:
    """Prints the ratio of the extractor's time to that of a bare loop."""
    import tensorflow as tf

    from tf_student.evaluation import inception, inception_preprocessing
    from tf_student.evaluation.cache import Cache
    from tf_student.evaluation.features import Extractor
    from tf_student.runtime.devices import make_strategy
    from tf_student.runtime.fixed_batches import FixedBatches

    batch, strategy = 64, make_strategy()
    with strategy.scope():
        model = inception.build()

    @tf.function
    def network(images):
        return tuple(model(inception_preprocessing.tf1(images), training=False))

    images = np.random.default_rng(0).integers(0, 256, [count, 32, 32, 3])
    images = images.astype(np.uint8)
    batches = [images[i : i + batch] for i in range(0, count, batch)]
    run = FixedBatches(strategy, network, device_batch=batch)

    def bare():
        for part in batches:
            network(tf.constant(part))[0].numpy()

    def extract():
        with tempfile.TemporaryDirectory() as folder:
            extractor = Extractor("inception", "random", run)
            features = extractor.extract(batches, cache=Cache(folder, "random"))
            assert features.statistics.n == count

    loop, extractor = shortest_times(rounds, bare, extract)
    print(
        f"{count} images of 32x32: bare loop {loop:.2f} s, extractor "
        f"{extractor:.2f} s, ratio {extractor / loop:.3f}"
    )


def shortest_times(rounds: int, *functions: Callable[[], None]) -> list[float]:
    """The shortest time of each function; they take turns."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, values in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            # The first call compiles.
            if turn:
                values.append(time.perf_counter() - start)
    return [min(values) for values in times]


def main() -> None:
    """Runs all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--neighbours", type=int, default=50_000)
    parser.add_argument("--extracted", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(peers.cpu(), flush=True)
    # Processes are forked before TensorFlow starts its threads.
    with tempfile.TemporaryDirectory() as folder:
        for function in (write_features, statistics_and_distance):
            in_a_process(function, folder, arguments.images)
        count = min(arguments.neighbours, arguments.images)
        if count:
            in_a_process(neighbours_of, folder, count)
    extraction(arguments.extracted, arguments.rounds)


if __name__ == "__main__":
    main()
