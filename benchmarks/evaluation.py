"""Times the evaluator: statistics, distance and neighbours, and what it adds.

    python benchmarks/evaluation.py [--images=50000] [--neighbours=50000] \
        [--extracted=256] [--rounds=3]

First two sets of float32 features, 50,000 x 2048 as of Inception: seconds and peak
memory of their float64 statistics and Frechet distance, and of precision, recall,
density and coverage, each in a process of its own. Then the extraction of images with
FID's Inception (random weights): the evaluator, with its hashing, cache and statistics,
against a bare loop over the same network, in turns; the ratio is of the least times.
"""

import argparse
import os
import resource
import tempfile
import time

import numpy as np

DIMENSIONS = 2048


def write_features(folder: str, count: int) -> None:
    """Two files of features as of a last layer with ReLU."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=[DIMENSIONS, DIMENSIONS]).astype(np.float32) / 50
    for number in range(2):
        with open(os.path.join(folder, str(number)), "wb") as file:
            for start in range(0, count, 1000):
                size = [min(1000, count - start), DIMENSIONS]
                part = rng.standard_normal(size, np.float32) @ mixing
                file.write(np.maximum(part + 0.1 * number, 0).data)


def statistics_and_distance(folder: str, count: int) -> None:
    """Prints seconds and peak memory, mapped files included."""
    from tf_student.evaluation import frechet, statistics

    before, start = _peak(), time.perf_counter()
    found = []
    for number in range(2):
        path = os.path.join(folder, str(number))
        rows = np.memmap(path, np.float32, "r", shape=(count, DIMENSIONS))
        found.append(statistics.of(rows))
        del rows
    gathered = time.perf_counter()
    distance = frechet.distance(*found)
    ended = time.perf_counter()
    print(
        f"2 x {count:,} x {DIMENSIONS}: statistics {gathered - start:.1f} s, distance "
        f"{ended - gathered:.1f} s, together {ended - start:.1f} s, FID "
        f"{distance:.3f}; peak {_peak():.2f} GiB, {before:.2f} before",
        flush=True,
    )


def neighbours_of(folder: str, count: int) -> None:
    """Prints seconds and peak memory, mapped files included."""
    from tf_student.evaluation import neighbours

    before, start = _peak(), time.perf_counter()
    manifolds = []
    for number in range(2):
        path = os.path.join(folder, str(number))
        rows = np.memmap(path, np.float32, "r", shape=(count, DIMENSIONS))
        manifolds.append(neighbours.manifold(rows))
    found = time.perf_counter()
    scores = neighbours.scores(*manifolds)
    ended = time.perf_counter()
    values = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    print(
        f"2 x {count:,} x {DIMENSIONS}: neighbours {found - start:.1f} s, scores "
        f"{ended - found:.1f} s ({values}); peak {_peak():.2f} GiB, {before:.2f} "
        "before",
        flush=True,
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_a_process(function, *arguments) -> None:
    """Calls a function where nothing else takes memory."""
    if pid := os.fork():
        os.waitpid(pid, 0)
    else:
        function(*arguments)
        os._exit(0)


def extraction(count: int, rounds: int) -> None:
    """Prints the evaluator's time as a part of a bare loop's."""
    import tensorflow as tf

    from tf_student.evaluation import inception
    from tf_student.evaluation.cache import Cache
    from tf_student.evaluation.features import Extractor
    from tf_student.runtime.devices import make_strategy
    from tf_student.runtime.fixed_batches import FixedBatches

    batch, strategy = 64, make_strategy()
    with strategy.scope():
        model = inception.build()

    @tf.function
    def network(images):
        return tuple(model(inception.preprocess_tf1(images), training=False))

    images = np.random.default_rng(0).integers(0, 256, [count, 32, 32, 3])
    images = images.astype(np.uint8)
    batches = [images[i : i + batch] for i in range(0, count, batch)]
    run = FixedBatches(strategy, network, device_batch=batch)

    def bare():
        for part in batches:
            network(tf.constant(part))[0].numpy()

    def evaluator():
        with tempfile.TemporaryDirectory() as folder:
            extractor = Extractor("inception", "random", run)
            found = extractor.extract(batches, cache=Cache(folder, "random"))
            assert found.statistics.n == count

    times = {"bare": [], "evaluator": []}
    for turn in range(rounds + 1):
        for name, function in (("bare", bare), ("evaluator", evaluator)):
            start = time.perf_counter()
            function()
            # The first turn compiles.
            if turn:
                times[name].append(time.perf_counter() - start)
    least = {name: min(values) for name, values in times.items()}
    print(
        f"{count} images of 32x32: bare loop {least['bare']:.2f} s, evaluator "
        f"{least['evaluator']:.2f} s, ratio {least['evaluator'] / least['bare']:.3f}"
    )


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--neighbours", type=int, default=50_000)
    parser.add_argument("--extracted", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # Before TensorFlow's threads are there.
    with tempfile.TemporaryDirectory() as folder:
        for function in (write_features, statistics_and_distance):
            in_a_process(function, folder, arguments.images)
        count = min(arguments.neighbours, arguments.images)
        if count:
            in_a_process(neighbours_of, folder, count)
    extraction(arguments.extracted, arguments.rounds)


if __name__ == "__main__":
    main()
