import dataclasses

import numpy as np
import pytest

from tests.stations.conftest import RUN, TINY
from tf_student import config, images, model_directory, noise, schedules
from tf_student.errors import InputError
from tf_student.pairs import records
from tf_student.pairs.reader import PairSet
from tf_student.sampler import ddim_sample
from tf_student.stations.pairs import make_pairs


def test_manifest_names_the_teacher(road):
    teacher = model_directory.load_teacher(road.teacher)
    manifest = records.read_manifest(road.pairs)
    assert manifest.teacher == model_directory.fingerprint(teacher)
    assert manifest.complete


def test_images_are_the_teachers(road):
    teacher = model_directory.load_teacher(road.teacher)
    z = noise.normal(0, np.arange(60), (8, 8, 1))
    expected = ddim_sample(
        lambda x, t: teacher(x, t),
        z,
        timesteps=np.array([666, 333, 0]),
        alpha_bars=schedules.alpha_bars(config.DiffusionConfig()),
    )
    stored = np.stack(list(PairSet(road.pairs).images().as_numpy_iterator()))
    # Another batch size may round a pixel that lies between two values otherwise.
    difference = np.abs(stored.astype(int) - images.to_uint8(expected).numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_finished_set_is_left_as_it_is(road, contents):
    before = contents(road.pairs)
    make_pairs(road.pairs, road.teacher, TINY, RUN)
    assert contents(road.pairs) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": config.SamplerConfig("uniform", 4)}, "calls=3, received: 4"),
        (
            {"pairs": dataclasses.replace(TINY.pairs, pairs=61)},
            "pairs=60, received: 61",
        ),
    ],
)
def test_other_settings_are_refused(road, contents, change, message):
    before = contents(road.pairs)
    with pytest.raises(InputError, match=message):
        make_pairs(road.pairs, road.teacher, dataclasses.replace(TINY, **change), RUN)
    assert contents(road.pairs) == before


def test_missing_teacher_is_named(tmp_path):
    with pytest.raises(InputError, match=r"teacher holds no config.json"):
        make_pairs(str(tmp_path / "pairs"), str(tmp_path / "teacher"), TINY, RUN)
    assert list(tmp_path.iterdir()) == []
