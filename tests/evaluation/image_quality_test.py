import numpy as np
import pytest

from tf_student.data import datasets
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.image_quality import ImageQuality
from tf_student.runtime.errors import InputError


@pytest.fixture(scope="module")
def quality():
    return ImageQuality(
        "digits", samples=1797, config=EvaluateConfig(extractor="digits")
    )


def test_real_images_have_no_distance_and_all_classes(quality):
    images, labels = datasets.digits()
    scores = quality(images)
    assert list(scores) == ["FID", "smallest_class"]
    assert scores["FID"] == pytest.approx(0, abs=1e-4)
    expected = np.bincount(labels).min() / len(labels)
    assert scores["smallest_class"] == pytest.approx(expected, abs=0.005)


def test_images_of_one_class_are_far_away(quality):
    images, labels = datasets.digits()
    scores = quality(images[labels == 3])
    assert scores["FID"] > 10
    assert scores["smallest_class"] == 0


def test_missing_extractor_is_an_error():
    quality = ImageQuality("digits", config=EvaluateConfig(extractor="/nowhere"))
    with pytest.raises(InputError, match="`extractor` must be"):
        quality.prepare((8, 8, 1))
    with pytest.raises(InputError, match="`extractor` must be"):
        quality(datasets.digits()[0])


def test_missing_real_images_are_an_error():
    quality = ImageQuality("missing.npz", config=EvaluateConfig(extractor="/nowhere"))
    with pytest.raises(InputError, match=r"missing\.npz"):
        quality.prepare((8, 8, 1))
