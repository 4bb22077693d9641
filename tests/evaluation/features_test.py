import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from tf_student import datasets
from tf_student.errors import InputError
from tf_student.evaluation import features


@pytest.fixture(scope="module")
def digits():
    return features.load("digits")


def test_digits_are_recognised(digits):
    images, labels = datasets.digits()
    found = digits.extract([images[:1000], images[1000:]])
    assert found.activations.shape == (1797, 64)
    assert found.logits.shape == (1797, 10)
    assert found.activations.dtype == found.logits.dtype == np.float64
    assert (found.logits.argmax(axis=1) == labels).mean() > 0.99


def test_batches_do_not_change_features(digits):
    images = datasets.digits()[0][:30]
    whole = digits.extract([images])
    parts = digits.extract([images[:7], images[7:]])
    np.testing.assert_allclose(whole.activations, parts.activations, atol=1e-4)


def test_digits_extractor_is_kept_in_the_cache(digits, cache, monkeypatch):
    assert [path.name for path in cache.iterdir()] == ["digits-1.keras"]
    monkeypatch.setattr(features, "_train_digits", None)
    again, images = features.load("digits"), datasets.digits()[0][:50]
    np.testing.assert_array_equal(
        again.extract([images]).activations, digits.extract([images]).activations
    )


def test_training_the_digits_extractor_again_gives_the_same(monkeypatch):
    images, labels = datasets.digits()
    monkeypatch.setattr(datasets, "digits", lambda: (images[:64], labels[:64]))
    first, second = features._train_digits(), features._train_digits()
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 9, 9, 1), (2, 8, 8, 3)])
def test_digits_extractor_refuses_other_images(digits, shape):
    with pytest.raises(InputError, match="needs 8x8 images with one channel"):
        digits.extract([np.zeros(shape, np.uint8)])


def test_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("TF_STUDENT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/someone/.cache")
    assert features.cache_directory() == "/home/someone/.cache/tf_student"
    monkeypatch.setenv("TF_STUDENT_CACHE", "/elsewhere")
    assert features.cache_directory() == "/elsewhere"


class _Inception(tf.Module):
    """What TF-GAN's module looks like: 299x299 colour images to a dictionary."""

    def __init__(self, names=("pool_3", "logits")):
        super().__init__()
        self._names = names

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
    def __call__(self, images):
        # As the real one does, with axes of one element.
        pool = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
        return {self._names[0]: pool, self._names[1]: pool[:, 0, 0, :2]}


def _save(module, path):
    tf.saved_model.save(module, path, signatures=module.__call__)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return _save(_Inception(), str(tmp_path_factory.mktemp("hub") / "tiny"))


def test_saved_model_extracts_pool_and_logits(saved):
    # Pixels of 255 become 1, of 0 become -1.
    images = np.zeros([3, 8, 8, 3], np.uint8)
    images[..., 0] = 255
    found = features.load(saved).extract([images[:2], images[2:]])
    np.testing.assert_allclose(found.activations, [[1.0, -1.0, -1.0]] * 3, atol=1e-6)
    np.testing.assert_allclose(found.logits, [[1.0, -1.0]] * 3, atol=1e-6)


def test_saved_model_is_named_by_its_folder(saved):
    assert features.load(f"{saved}/").name == "tiny"


def test_saved_model_sees_grey_images_as_coloured(saved):
    found = features.load(saved).extract([np.full([2, 8, 8, 1], 255, np.uint8)])
    np.testing.assert_allclose(found.activations, [[1.0, 1.0, 1.0]] * 2, atol=1e-6)


def test_saved_model_with_signatures_alone_is_enough(tmp_path):
    class Bare(tf.Module):
        pass

    bare, inception = Bare(), _Inception()
    bare.kept = inception
    path = str(tmp_path / "bare")
    tf.saved_model.save(bare, path, signatures=inception.__call__)
    found = features.load(path).extract([np.zeros([1, 8, 8, 3], np.uint8)])
    np.testing.assert_allclose(found.activations, [[-1.0, -1.0, -1.0]], atol=1e-6)


def test_saved_model_with_other_outputs_is_refused(tmp_path):
    path = _save(_Inception(("pool", "classes")), str(tmp_path / "other"))
    with pytest.raises(InputError, match="other must have the outputs pool_3 and"):
        features.load(path).extract([np.zeros([1, 8, 8, 3], np.uint8)])


@pytest.mark.parametrize("name", ["/nowhere/extractor", "resnet"])
def test_missing_extractor_is_refused(name):
    with pytest.raises(InputError, match=f"or the path .* Received: extractor={name}"):
        features.load(name)


def test_inception_without_a_network_says_what_to_do(monkeypatch):
    def offline(handle):
        raise OSError("name resolution failed\nand a long story")

    monkeypatch.setattr(tensorflow_hub, "load", offline)
    with pytest.raises(InputError) as caught:
        features.load("inception")
    message = str(caught.value)
    assert "\n" not in message
    assert "(name resolution failed)" in message
    assert "TFHUB_CACHE_DIR" in message and "--extractor" in message


def test_inception_is_tfgans_module(saved, monkeypatch):
    handles, load = [], tensorflow_hub.load

    def local(handle):
        handles.append(handle)
        return load(saved)

    monkeypatch.setattr(tensorflow_hub, "load", local)
    extractor = features.load("inception")
    assert extractor.name == "inception"
    assert handles == ["https://tfhub.dev/tensorflow/tfgan/eval/inception/1"]
