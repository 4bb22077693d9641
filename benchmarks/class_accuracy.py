"""Measures how often an independent classifier sees the class that was asked for.

    python benchmarks/class_accuracy.py runs/digits_classes [--count=5000]

The classifier is a support vector machine on the pixels of the real digits (pip install
scikit-learn). It shares nothing with the feature extractor `digits`. Its accuracy
on real digits is that of a model that saw the other half of them.
"""

import argparse
import os

import numpy as np
from sklearn.svm import SVC

import tf_student as ts
from tf_student.data import datasets
from tf_student.diffusion import inputs, noise

CLASSES = 10


def fitted(images: np.ndarray, labels: np.ndarray) -> SVC:
    """A support vector machine, from flat pixels to a label."""
    return SVC(gamma=0.02, C=10).fit(_flat(images), labels)


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0 * 4.0


def main() -> None:
    """Prints the accuracy on real images and on those of each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", help="with teacher, student and matched")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--preset", default="digits_classes")
    arguments = parser.parse_args()
    images, labels = datasets.digits()
    odd, even = slice(1, None, 2), slice(0, None, 2)
    halves = [
        np.mean(fitted(images[a], labels[a]).predict(_flat(images[b])) == labels[b])
        for a, b in ((odd, even), (even, odd))
    ]
    print(f"real images (the other half): {np.mean(halves):.2%}")
    classifier = fitted(images, labels)
    sampler = ts.get_preset(arguments.preset).sampler
    indices = noise.EVALUATION + np.arange(arguments.count)
    asked = inputs.labels(0, indices, CLASSES).numpy()
    for name in ("teacher", "student", "matched"):
        path = os.path.join(arguments.directory, name)
        if not os.path.exists(path):
            continue
        if name == "teacher":
            drawn = ts.Teacher.load(path).sample(arguments.count, sampler=sampler)
        else:
            drawn = ts.Student.load(path).generate(arguments.count)
        seen = classifier.predict(_flat(drawn))
        worst = min(np.mean(seen[asked == k] == k) for k in range(CLASSES))
        accuracy = np.mean(seen == asked)
        print(f"{name:8} {accuracy:.2%} (worst class {worst:.2%})", flush=True)


if __name__ == "__main__":
    main()
