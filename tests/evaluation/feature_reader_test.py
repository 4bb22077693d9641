import numpy as np
import pytest

from tf_student.evaluation import image_sources, statistics
from tf_student.evaluation.feature_reader import FeatureReader
from tf_student.evaluation.features import Extractor
from tf_student.evaluation.image_sources import Source


def _features(images):
    flat = images.reshape(len(images), -1).astype(np.float32)
    return flat[:, :3], flat[:, :2]


def _read(first, count):
    images = np.arange(first * 4, (first + count) * 4, dtype=np.uint8)
    yield images.reshape(-1, 2, 2, 1)


@pytest.fixture
def opened():
    """How often the extractor was opened."""
    return []


@pytest.fixture
def open_extractor(opened):
    def open_it():
        opened.append(True)
        return Extractor("tiny", "tiny 1", _features)

    return open_it


_SOURCE = Source("mine", _read, (2, 2, 1))


def test_a_range_of_images_is_read(open_extractor, opened):
    reader = FeatureReader(open_extractor)
    features = reader.read(_SOURCE, "label", 3, 5)
    np.testing.assert_array_equal(features.activations[:, 0], np.arange(12, 32, 4))
    assert (features.name, features.extractor) == ("mine", "tiny 1")
    reader.read(_SOURCE, "label", 0, 5)
    assert opened == [True] and reader.extractor_name == "tiny"


def test_statistics_need_no_extractor(open_extractor, opened):
    stats = statistics.of(np.eye(5))
    reader = FeatureReader(open_extractor)
    assert reader.read(image_sources.from_statistics(stats), "label", 0, 5) is stats
    assert opened == [] and reader.extractor_name == "those of the statistics files"


def test_features_are_cached_only_with_a_directory(open_extractor, tmp_path):
    FeatureReader(open_extractor).read(_SOURCE, "label", 0, 5)
    assert list(tmp_path.iterdir()) == []
    cache = tmp_path / "features"
    FeatureReader(open_extractor, cache=str(cache)).read(_SOURCE, "label", 0, 5)
    assert len(list(cache.iterdir())) == 1


def test_progress_is_drawn_only_if_requested(open_extractor, capsys):
    FeatureReader(open_extractor).read(_SOURCE, "a label", 0, 5)
    assert capsys.readouterr().err == ""
    FeatureReader(open_extractor, bars=True).read(_SOURCE, "a label", 0, 5)
    assert "a label: 100%" in capsys.readouterr().err
