import hashlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub

from tests.evaluation import tiny_inception
from tf_student.evaluation import extractors, hub_extractor
from tf_student.runtime import devices
from tf_student.runtime.errors import InputError


def _load(name):
    return extractors.load(str(name), devices.make_strategy(["CPU:0"]))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("hub") / "tiny"
    return tiny_inception.save(tiny_inception.Inception(), path)


class _Bare(tf.Module):
    pass


def test_saved_model_with_only_signatures_is_enough(tmp_path):
    bare, inception = _Bare(), tiny_inception.Inception()
    bare.kept = inception
    path = str(tmp_path / "bare")
    tf.saved_model.save(bare, path, signatures=inception.__call__)
    activations, _ = _load(path).run(np.zeros([1, 8, 8, 3], np.uint8))
    np.testing.assert_allclose(activations, [[-1.0, -1.0, -1.0]], atol=1e-6)


def test_saved_model_without_a_function_is_an_error(tmp_path):
    path = str(tmp_path / "nothing")
    tf.saved_model.save(_Bare(), path)
    message = "nothing must be callable or have the signature serving_default"
    with pytest.raises(InputError, match=message):
        _load(path)


def test_saved_model_of_other_inputs_is_an_error(tmp_path):
    class Small(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32)])
        def __call__(self, images):
            return {name: images for name in tiny_inception.NAMES}

    path = tiny_inception.save(Small(), tmp_path / "small")
    with pytest.raises(InputError, match=r"must take float32 images \[n, 299, 299, 3"):
        _load(path)


def test_saved_model_with_other_outputs_is_an_error(tmp_path):
    module = tiny_inception.Inception(("pool", "classes"))
    path = tiny_inception.save(module, tmp_path / "other")
    with pytest.raises(InputError, match="other must have the outputs pool_3 and"):
        _load(path)


def test_inception_without_a_network_says_what_to_do(monkeypatch):
    def offline(handle):
        raise OSError("name resolution failed\nand a long story")

    monkeypatch.setattr(tensorflow_hub, "load", offline)
    with pytest.raises(InputError) as caught:
        _load("inception")
    message = str(caught.value)
    assert "\n" not in message
    assert "(name resolution failed)" in message
    assert "TFHUB_CACHE_DIR" in message and "Set `extractor` to the path" in message


def test_inception_is_tfgans_module(saved, monkeypatch):
    handles, load = [], tensorflow_hub.load

    def local(handle):
        handles.append(handle)
        return load(saved)

    monkeypatch.setattr(tensorflow_hub, "load", local)
    extractor = _load("inception")
    address = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"
    assert (extractor.name, extractor.identity) == ("inception", address)
    assert handles == [address]


def test_inception_is_read_from_tf_hubs_cache(saved, monkeypatch, tmp_path):
    # TF Hub names a folder of its cache by the SHA-1 of the address.
    address = hub_extractor.TFGAN_INCEPTION.encode()
    shutil.copytree(saved, tmp_path / hashlib.sha1(address).hexdigest())
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    activations, _ = _load("inception").run(np.zeros([1, 8, 8, 3], np.uint8))
    np.testing.assert_allclose(activations, [[-1.0, -1.0, -1.0]], atol=1e-6)
