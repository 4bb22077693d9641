import numpy as np
import pytest

from tf_student.data import datasets
from tf_student.data.data_config import DataConfig
from tf_student.diffusion import noise
from tf_student.evaluation import image_sources, statistics
from tf_student.evaluation.image_sources import Source
from tf_student.models.generator import Generator
from tf_student.runtime import devices
from tf_student.runtime.run_config import RunConfig


@pytest.fixture
def numbered():
    """Images whose pixels are their index, in batches of 3."""

    def read(first, count):
        for start in range(first, first + count, 3):
            stop = min(start + 3, first + count)
            yield np.arange(start, stop, dtype=np.uint8).reshape(-1, 1, 1, 1)

    return Source("numbered", read, (1, 1, 1))


@pytest.mark.parametrize("indices", [{0}, {7}, [5, 2, 2, 3], {0, 1, 2, 3, 4, 5, 6}])
def test_images_are_selected_by_index(numbered, indices):
    selected = numbered.select(indices)
    assert {index: int(image[0, 0, 0]) for index, image in selected.items()} == {
        index: index for index in indices
    }


def test_generators_get_evaluation_noise():
    strategy = devices.make_strategy(["CPU:0"])
    generator = Generator(
        strategy, lambda z: z / 4, (2, 2, 1), run=RunConfig(device_batch=3)
    )
    source = image_sources.from_generator("mine", generator, 5)
    batches = list(source.read(4, 7))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    expected = generator.from_seed(0, noise.EVALUATION + 4, 7)
    np.testing.assert_array_equal(np.concatenate(batches), expected)
    assert (source.name, source.shape, source.count) == ("mine", (2, 2, 1), None)
    assert (source.batch, source.calls) == (3, 5)


@pytest.mark.parametrize(("maximum", "count"), [(0, 1797), (300, 300), (5000, 1797)])
def test_real_images_may_be_limited(maximum, count):
    image_set = datasets.load(DataConfig("digits"), None)
    source = image_sources.from_images(image_set, maximum)
    assert (source.name, source.count, source.generate) == ("digits", count, None)
    images = np.concatenate(list(source.read(10, 270)))
    np.testing.assert_array_equal(images, datasets.digits()[0][10:280])


def test_statistics_have_no_images():
    stats = statistics.of(np.eye(5), "theirs")
    source = image_sources.from_statistics(stats)
    assert source.statistics is stats
    assert (source.name, source.shape, source.count) == ("theirs", None, 5)
    assert list(source.read(0, 5)) == []
