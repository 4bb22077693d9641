import os
import random

import keras
import numpy as np
import pytest

from tf_student.data import datasets
from tf_student.evaluation import digits_classifier, extractors
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def _load():
    return extractors.load("digits", devices.make_strategy(["CPU:0"]))


@pytest.fixture(scope="module")
def digits():
    return _load()


def test_digits_are_recognized(digits):
    images, labels = datasets.digits()
    features = digits.extract([images[:1000], images[1000:]])
    assert features.activations.shape == (1797, 64)
    assert features.logits.shape == (1797, 10)
    assert (features.logits.argmax(axis=1) == labels).mean() > 0.99


def test_training_leaves_random_states_alone(monkeypatch):
    # Keras draws the seeds of initializers from Python's state.
    monkeypatch.setattr(digits_classifier, "_train", lambda: random.random())
    states = random.getstate(), np.random.get_state()[1].tolist()
    first = digits_classifier.train()
    random.seed(5)
    assert digits_classifier.train() == first
    random.setstate(states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


def test_classifier_is_cached(digits, cache, monkeypatch):
    assert (cache / "digits-1.keras").exists()
    monkeypatch.setattr(digits_classifier, "train", None)
    reloaded, images = _load(), datasets.digits()[0][:50]
    np.testing.assert_array_equal(reloaded.run(images)[0], digits.run(images)[0])


@pytest.mark.parametrize("damage", ["empty", "cut", "nonsense", "other", "weights"])
def test_a_damaged_cache_is_replaced(digits, cache, monkeypatch, tmp_path, damage):
    content = (cache / "digits-1.keras").read_bytes()
    trained = keras.models.load_model(cache / "digits-1.keras")
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(
        tmp_path / "other.keras"
    )
    path = tmp_path / "digits-1.keras"
    path.write_bytes(
        {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "nonsense": b"no network",
            "other": (tmp_path / "other.keras").read_bytes(),
            "weights": bytes(flipped),
        }[damage]
    )
    monkeypatch.setenv("TF_STUDENT_CACHE", str(tmp_path))
    monkeypatch.setattr(digits_classifier, "train", lambda: trained)
    images = datasets.digits()[0][:50]
    np.testing.assert_array_equal(_load().run(images)[0], digits.run(images)[0])
    monkeypatch.setattr(digits_classifier, "train", None)
    np.testing.assert_array_equal(_load().run(images)[0], digits.run(images)[0])
    assert sorted(os.listdir(tmp_path)) == ["digits-1.keras", "other.keras"]


def test_of_processes_that_train_at_once_the_first_one_wins(
    digits, cache, monkeypatch, tmp_path
):
    first = keras.models.load_model(cache / "digits-1.keras")

    def train():
        # Meanwhile another process stores its own.
        first.save(tmp_path / "digits-1.keras")
        return keras.models.clone_model(first)

    monkeypatch.setenv("TF_STUDENT_CACHE", str(tmp_path))
    monkeypatch.setattr(digits_classifier, "train", train)
    images = datasets.digits()[0][:50]
    np.testing.assert_array_equal(_load().run(images)[0], digits.run(images)[0])


def test_training_is_reproducible(monkeypatch):
    images, labels = datasets.digits()
    monkeypatch.setattr(datasets, "digits", lambda: (images[:64], labels[:64]))
    first, second = digits_classifier.train(), digits_classifier.train()
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 9, 9, 1), (2, 8, 8, 3)])
def test_other_images_are_an_error(digits, shape):
    with pytest.raises(InputError, match="needs 8x8 images with one channel"):
        digits.run(np.zeros(shape, np.uint8))


def test_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("TF_STUDENT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/someone/.cache")
    assert digits_classifier.cache_directory() == "/home/someone/.cache/tf_student"
    monkeypatch.setenv("TF_STUDENT_CACHE", "/elsewhere")
    assert digits_classifier.cache_directory() == "/elsewhere"
