import dataclasses

import numpy as np
import pytest

from tf_student.evaluation import contender, image_sources, metrics, statistics
from tf_student.evaluation.class_metrics import ClassReference
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.feature_reader import FeatureReader
from tf_student.evaluation.features import Extractor
from tf_student.evaluation.image_sources import Source
from tf_student.runtime.errors import InputError

_NO_CLASSES = ClassReference(statistics.Statistics(), 0, None)
_CONFIG = EvaluateConfig(samples=20, repeats=3)
_IMAGES = np.random.default_rng(0).integers(0, 256, [200, 2, 2, 1]).astype(np.uint8)


def _read(first, count):
    yield _IMAGES[first : first + count]


_GENERATOR = Source(
    "the student", _read, (2, 2, 1), generate=np.zeros_like, batch=5, calls=4
)
_SET = Source("a folder", _read, (2, 2, 1), count=50)
_STATISTICS = image_sources.from_statistics(statistics.of(np.eye(5)))


def test_a_generator_has_every_range():
    assert contender.range_starts(_GENERATOR, _CONFIG) == [0, 20, 40]


def test_a_set_has_the_ranges_that_fit():
    assert contender.range_starts(_SET, _CONFIG) == [0, 20]


def test_statistics_are_one_range():
    assert contender.range_starts(_STATISTICS, _CONFIG) == [0]


def test_too_few_images_are_an_error():
    small = dataclasses.replace(_SET, count=19)
    message = "`samples` must be at most 19, the images of a folder. Received: samples="
    with pytest.raises(InputError, match=message):
        contender.range_starts(small, _CONFIG)


@pytest.fixture
def reader():
    def run(images):
        flat = images.reshape(len(images), -1).astype(np.float32)
        return flat[:, :3], flat[:, :2] / 255

    return FeatureReader(lambda: Extractor("tiny", "tiny 1", run))


@pytest.fixture
def reference(reader):
    return metrics.Reference(reader.read(_SET, "real", 100, 60))


def test_scores_are_means_over_the_ranges(reader, reference):
    measured = contender.measure(
        "student", _GENERATOR, reference, reader, _CONFIG, _NO_CLASSES
    )
    parts = [reader.read(_SET, "", start, 20) for start in (0, 20, 40)]
    expected = metrics.summarize([reference.measure(part) for part in parts])
    assert measured.measured.scores == expected
    assert measured.measured.ranges == len(measured.statistics) == 3
    np.testing.assert_array_equal(measured.first.activations, parts[0].activations)


def test_only_generators_are_timed(reader, reference):
    generator, images = (
        contender.measure(
            "student", source, reference, reader, _CONFIG, _NO_CLASSES
        ).measured
        for source in (_GENERATOR, _SET)
    )
    assert generator.milliseconds > 0 and images.milliseconds == 0
    assert (generator.calls, images.calls) == (4, 0)
    assert (generator.images, images.images) == ("", "a folder")
