import importlib.util
import sys
import types

import pytest

from tf_student.evaluation import tfgan


def test_evaluation_functions_are_imported():
    for name in (
        "frechet_classifier_distance_from_activations",
        "kernel_classifier_distance_from_activations",
        "classifier_score_from_logits",
    ):
        assert callable(getattr(tfgan.classifier_metrics, name))


def test_absent_tfgan_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'tensorflow-gan>=2.1,<2.2'"):
        tfgan._import_metrics()


def test_changed_tfgan_says_what_is_supported(monkeypatch):
    spec = types.SimpleNamespace(submodule_search_locations=["/nowhere"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    name = "tensorflow_gan.python.eval.classifier_metrics"
    # None in sys.modules makes an import fail.
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"supports TF-GAN 2.1 .*Cause:"):
        tfgan._import_metrics()
