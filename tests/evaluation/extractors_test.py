import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation import tiny_inception
from tf_student.data import datasets
from tf_student.evaluation import extractors
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def _load(name, **options):
    return extractors.load(str(name), devices.make_strategy(["CPU:0"]), **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "tiny"
    return tiny_inception.save(tiny_inception.Inception(), path)


@pytest.fixture(params=["saved_model", "graph", "graph_without_placeholder"])
def tiny(request, saved, tmp_path):
    if request.param == "saved_model":
        return saved
    return tiny_inception.save_graph(
        tmp_path / "tiny.pb", placeholder=request.param == "graph"
    )


def test_devices_share_the_images():
    images = datasets.digits()[0][:50]
    single = _load("digits")
    strategy = devices.make_strategy(["CPU:0", "CPU:1"])
    both = extractors.load("digits", strategy, device_batch=8)
    assert both.identity == single.identity
    for a, b in zip(single.run(images), both.run(images), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_pool_and_logits_are_extracted(tiny):
    # Pixels of 255 become 1, of 0 become -1.
    images = np.zeros([3, 8, 8, 3], np.uint8)
    images[..., 0] = 255
    activations, logits = _load(tiny).run(images)
    np.testing.assert_allclose(activations, [[1.0, -1.0, -1.0]] * 3, atol=1e-6)
    np.testing.assert_allclose(logits, [[1.0, -1.0]] * 3, atol=1e-6)


def test_grey_images_become_coloured(tiny):
    activations, _ = _load(tiny).run(np.full([2, 8, 8, 1], 255, np.uint8))
    np.testing.assert_allclose(activations, [[1.0, 1.0, 1.0]] * 2, atol=1e-6)


def test_identity_is_that_of_the_content(saved, tmp_path):
    first = _load(saved)
    shutil.copytree(saved, tmp_path / "elsewhere")
    copy = _load(tmp_path / "elsewhere")
    graph = _load(tiny_inception.save_graph(tmp_path / "a.pb"))
    assert first.identity == copy.identity != graph.identity
    assert first.identity.startswith("sha256:")
    assert (first.name, copy.name, graph.name) == ("tiny", "elsewhere", "a.pb")


def test_saved_model_is_named_by_its_folder(saved):
    assert _load(f"{saved}/").name == "tiny"


def test_config_names_the_extractor_and_its_options(monkeypatch):
    received = {}

    def load(name, strategy, **options):
        received.update(name=name, strategy=strategy, **options)

    monkeypatch.setattr(extractors, "load", load)
    config = EvaluateConfig(extractor="a.pth", extractor_batch=5, resize="pytorch_fid")
    extractors.from_config(config, "strategy")
    assert received == {
        "name": "a.pth",
        "strategy": "strategy",
        "device_batch": 5,
        "resize": "pytorch_fid",
    }


@pytest.mark.parametrize("name", ["/nowhere/extractor", "resnet", "/nowhere/a.pth"])
def test_missing_extractor_is_an_error(name):
    with pytest.raises(InputError, match=f"or .* Received: extractor={name}"):
        _load(name)


def test_images_of_two_channels_are_an_error(saved):
    with pytest.raises(InputError, match=r"1 or 3 channels. Received: \(8, 8, 2\)"):
        _load(saved).run(np.zeros([2, 8, 8, 2], np.uint8))


def test_features_that_are_not_finite_are_an_error(tmp_path):
    class Broken(tiny_inception.Inception):
        @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3], tf.float32)])
        def __call__(self, images):
            pool = tf.math.log(tf.reduce_mean(images, axis=[1, 2]))
            return {"pool_3": pool, "logits": pool}

    extractor = _load(tiny_inception.save(Broken(), tmp_path / "broken"))
    message = "must be finite. Received: .*broken with NaN or infinity"
    with pytest.raises(InputError, match=message):
        extractor.run(np.zeros([2, 8, 8, 3], np.uint8))
