import hashlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from tf_student.data import datasets
from tf_student.evaluation import digits_classifier, extractors
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def _load(name, **options):
    return extractors.load(str(name), devices.make_strategy(["CPU:0"]), **options)


@pytest.fixture(scope="module")
def digits():
    return _load("digits")


def test_digits_are_recognised(digits):
    images, labels = datasets.digits()
    found = digits.extract([images[:1000], images[1000:]])
    assert found.activations.shape == (1797, 64)
    assert found.logits.shape == (1797, 10)
    assert (found.logits.argmax(axis=1) == labels).mean() > 0.99


def test_devices_share_the_images(digits):
    images = datasets.digits()[0][:50]
    strategy = devices.make_strategy(["CPU:0", "CPU:1"])
    both = extractors.load("digits", strategy, device_batch=8)
    assert both.identity == digits.identity
    for one, two in zip(digits.run(images), both.run(images), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_digits_extractor_is_kept_in_the_cache(digits, cache, monkeypatch):
    assert [path.name for path in cache.iterdir()] == ["digits-1.keras"]
    monkeypatch.setattr(digits_classifier, "train", None)
    again, images = _load("digits"), datasets.digits()[0][:50]
    np.testing.assert_array_equal(again.run(images)[0], digits.run(images)[0])


def test_training_the_digits_extractor_again_gives_the_same(monkeypatch):
    images, labels = datasets.digits()
    monkeypatch.setattr(datasets, "digits", lambda: (images[:64], labels[:64]))
    first, second = digits_classifier.train(), digits_classifier.train()
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 9, 9, 1), (2, 8, 8, 3)])
def test_digits_extractor_refuses_other_images(digits, shape):
    with pytest.raises(InputError, match="needs 8x8 images with one channel"):
        digits.run(np.zeros(shape, np.uint8))


def test_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("TF_STUDENT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/someone/.cache")
    assert digits_classifier.cache_directory() == "/home/someone/.cache/tf_student"
    monkeypatch.setenv("TF_STUDENT_CACHE", "/elsewhere")
    assert digits_classifier.cache_directory() == "/elsewhere"


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


def _graph(path, *, placeholder=True, names=("pool_3", "logits")):
    """A frozen graph of the same network; TF-GAN's own lacks the placeholder."""
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 299, 299, 3], name="Mul")
        pool = tf.reduce_mean(images, axis=[1, 2], keepdims=True, name=names[0])
        tf.identity(pool[:, 0, 0, :2], name=names[1])
    definition = graph.as_graph_def()
    if not placeholder:
        nodes = [node for node in definition.node if node.name != "Mul"]
        definition = tf.compat.v1.GraphDef(node=nodes, versions=definition.versions)
    path.write_bytes(definition.SerializeToString())
    return str(path)


@pytest.fixture(params=["saved_model", "graph", "graph_without_placeholder"])
def tiny(request, saved, tmp_path):
    if request.param == "saved_model":
        return saved
    return _graph(tmp_path / "tiny.pb", placeholder=request.param == "graph")


def test_pool_and_logits_are_extracted(tiny):
    # Pixels of 255 become 1, of 0 become -1.
    images = np.zeros([3, 8, 8, 3], np.uint8)
    images[..., 0] = 255
    activations, logits = _load(tiny).run(images)
    np.testing.assert_allclose(activations, [[1.0, -1.0, -1.0]] * 3, atol=1e-6)
    np.testing.assert_allclose(logits, [[1.0, -1.0]] * 3, atol=1e-6)


def test_grey_images_are_seen_as_coloured(tiny):
    activations, _ = _load(tiny).run(np.full([2, 8, 8, 1], 255, np.uint8))
    np.testing.assert_allclose(activations, [[1.0, 1.0, 1.0]] * 2, atol=1e-6)


def test_preprocessing_is_bilinear_to_299_within_one():
    images = np.random.default_rng(0).integers(0, 256, [2, 7, 7, 3]).astype(np.uint8)
    found = extractors.preprocess(tf.constant(images)).numpy()
    # Half-pixel centres: the place of each of the 299 among the 7.
    places = np.clip((np.arange(299) + 0.5) * 7 / 299 - 0.5, 0, 6)
    expected = _bilinear(images / 127.5 - 1, places)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (2, 299, 299, 3)


def _bilinear(images, places):
    low = np.floor(places).astype(int)
    high, part = np.minimum(low + 1, images.shape[1] - 1), places - low
    rows = (
        images[:, low] * (1 - part)[:, None, None]
        + images[:, high] * part[:, None, None]
    )
    return rows[:, :, low] * (1 - part)[:, None] + rows[:, :, high] * part[:, None]


def test_identity_is_that_of_the_content(saved, tmp_path):
    first = _load(saved)
    shutil.copytree(saved, tmp_path / "elsewhere")
    again, graph = _load(tmp_path / "elsewhere"), _load(_graph(tmp_path / "a.pb"))
    assert first.identity == again.identity != graph.identity
    assert first.identity.startswith("sha256:")
    assert (first.name, again.name, graph.name) == ("tiny", "elsewhere", "a.pb")


def test_saved_model_is_named_by_its_folder(saved):
    assert _load(f"{saved}/").name == "tiny"


def test_saved_model_with_signatures_alone_is_enough(tmp_path):
    class Bare(tf.Module):
        pass

    bare, inception = Bare(), _Inception()
    bare.kept = inception
    path = str(tmp_path / "bare")
    tf.saved_model.save(bare, path, signatures=inception.__call__)
    activations, _ = _load(path).run(np.zeros([1, 8, 8, 3], np.uint8))
    np.testing.assert_allclose(activations, [[-1.0, -1.0, -1.0]], atol=1e-6)


def test_saved_model_with_other_outputs_is_refused(tmp_path):
    path = _save(_Inception(("pool", "classes")), str(tmp_path / "other"))
    with pytest.raises(InputError, match="other must have the outputs pool_3 and"):
        _load(path)


def test_graph_with_other_outputs_is_refused(tmp_path):
    path = _graph(tmp_path / "other.pb", names=("pool", "classes"))
    with pytest.raises(InputError, match=r"other.pb must be a frozen graph of one"):
        _load(path)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x0a\x05\x0a\x03abc"])
def test_a_file_that_is_no_graph_is_refused(tmp_path, content):
    path = tmp_path / "bad.pb"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad.pb must be a frozen graph") as caught:
        _load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["/nowhere/extractor", "resnet", "/nowhere/a.pth"])
def test_missing_extractor_is_refused(name):
    with pytest.raises(InputError, match=f"or .* Received: extractor={name}"):
        _load(name)


def test_images_of_two_channels_are_refused(saved):
    with pytest.raises(InputError, match=r"1 or 3 channels. Received: \(8, 8, 2\)"):
        _load(saved).run(np.zeros([2, 8, 8, 2], np.uint8))


def test_features_that_are_not_finite_are_refused(tmp_path):
    class Broken(_Inception):
        @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
        def __call__(self, images):
            pool = tf.math.log(tf.reduce_mean(images, axis=[1, 2]))
            return {"pool_3": pool, "logits": pool}

    extractor = _load(_save(Broken(), str(tmp_path / "broken")))
    with pytest.raises(InputError, match="broken gave features that are NaN"):
        extractor.run(np.zeros([2, 8, 8, 3], np.uint8))


def test_inception_without_a_network_says_what_to_do(monkeypatch):
    def offline(handle):
        raise OSError("name resolution failed\nand a long story")

    monkeypatch.setattr(tensorflow_hub, "load", offline)
    with pytest.raises(InputError) as caught:
        _load("inception")
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
    extractor = _load("inception")
    assert extractor.name == "inception"
    assert handles == ["https://tfhub.dev/tensorflow/tfgan/eval/inception/1"]


def test_inception_is_found_in_tf_hubs_cache(saved, monkeypatch, tmp_path):
    handle = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"
    # TF Hub names a folder of its cache by the SHA-1 of the address.
    folder = tmp_path / hashlib.sha1(handle.encode()).hexdigest()
    shutil.copytree(saved, folder)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    activations, _ = _load("inception").run(np.zeros([1, 8, 8, 3], np.uint8))
    np.testing.assert_allclose(activations, [[-1.0, -1.0, -1.0]], atol=1e-6)
