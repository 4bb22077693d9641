"""Prints the FID of generated digits with features that do not come from `digits`.

    python benchmarks/other_judges.py runs/long/teacher runs/long/student ...

A judge turns images into features: the extractor `digits` for comparison; two further
classifiers, each of another architecture than `digits` and trained on its own half of
the real digits; and the 64 pixels themselves. Each source is measured on ranges of
generated images against all real ones.
"""

import argparse
from collections.abc import Callable

import keras
import numpy as np

from tf_student.data import datasets
from tf_student.evaluation import digits_classifier, frechet, named_sources, statistics
from tf_student.presets import systems
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig

Judge = Callable[[np.ndarray], np.ndarray]


def train_classifier(images: np.ndarray, labels: np.ndarray, seed: int) -> keras.Model:
    """Trains a classifier that shares neither layers nor sizes with `digits`."""
    keras.utils.set_random_seed(seed)
    conv = {"strides": 2, "padding": "same", "activation": "gelu"}
    classifier = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.RandomTranslation(
                0.1, 0.1, fill_mode="constant", fill_value=-1.0
            ),
            keras.layers.Conv2D(48, 5, **conv),
            keras.layers.Conv2D(96, 3, **conv),
            keras.layers.Flatten(),
            keras.layers.Dense(48, activation="tanh"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile("adam", loss, metrics=["accuracy"])
    classifier.fit(images, labels, batch_size=32, epochs=60, verbose=0)
    return classifier


def hidden(classifier: keras.Model) -> Judge:
    """The last hidden layer of a classifier, as float32 `[n, dimensions]`."""
    model = keras.Model(classifier.inputs, classifier.layers[-2].output)
    return lambda images: model.predict(
        images.astype(np.float32), batch_size=1024, verbose=0
    )


def make_judges(images: np.ndarray, labels: np.ndarray) -> dict[str, Judge]:
    """All judges by name; prints how well each classifier knows the other half."""
    judges = {"digits": hidden(digits_classifier.load())}
    order = np.random.default_rng(1).permutation(len(images))
    halves = np.array_split(order, 2)
    for number, (own, other) in enumerate([halves, halves[::-1]]):
        classifier = train_classifier(images[own], labels[own], 101 + number)
        accuracy = classifier.evaluate(images[other], labels[other], verbose=0)[1]
        name = f"classifier {number + 1}"
        print(f"{name}: {accuracy:.1%} of the other half are right")
        judges[name] = hidden(classifier)
    judges["pixels"] = lambda images: images.reshape(len(images), -1) / 127.5 - 1
    return judges


def row(images: list[np.ndarray], real: np.ndarray, judges: dict[str, Judge]) -> str:
    """Mean and standard deviation of the FID over ranges of images, for each judge."""
    cells = []
    for judge in judges.values():
        reference = frechet.Reference(statistics.of(judge(real)))
        fids = [reference.distance(statistics.of(judge(part))) for part in images]
        cells.append(f"{np.mean(fids):.4f} ± {np.std(fids):.4f}")
    return "".join(f"{cell:>18}" for cell in cells)


def main() -> None:
    """Prints a row for halves of the real digits, and one for each source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", help="run directories")
    parser.add_argument("--preset", default="digits_long", help="of the sampler")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    sampler = systems.get_preset(arguments.preset).sampler
    opener = named_sources.Opener(devices.make_strategy(), sampler, RunConfig())
    real, labels = datasets.digits()
    judges = make_judges(real, labels)
    print(f"{'':32}" + "".join(f"{name:>18}" for name in judges))
    halves = [frechet.half_split(judge(real)) for judge in judges.values()]
    print(f"{'half of the real digits':32}" + "".join(f"{v:18.4f}" for v in halves))
    starts = [k * arguments.samples for k in range(arguments.repeats)]
    for name in arguments.sources:
        read = opener.open(name, option="sources").read
        images = [np.concatenate([*read(k, arguments.samples)]) for k in starts]
        print(f"{name[-31:]:32}{row(images, real, judges)}", flush=True)


if __name__ == "__main__":
    main()
