import dataclasses

import numpy as np
import pytest

from tests.tiny_run import RUN, TINY
from tf_student.data import images
from tf_student.diffusion import noise, schedules
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.diffusion.samplers import ddim_sample
from tf_student.models import model_directory
from tf_student.pairs import manifests
from tf_student.pairs.make_pairs import make_pairs
from tf_student.pairs.reader import PairSet
from tf_student.runtime.errors import InputError


def test_manifest_names_the_teacher(demo_run):
    teacher = model_directory.load_teacher(demo_run.teacher)
    manifest = manifests.read(demo_run.pairs)
    assert manifest.teacher == model_directory.fingerprint(teacher)
    assert manifest.complete


def test_images_are_the_teachers(demo_run):
    teacher = model_directory.load_teacher(demo_run.teacher)
    z = noise.normal(0, np.arange(60), (8, 8, 1))
    expected = ddim_sample(
        lambda x, t: teacher(x, t),
        z,
        timesteps=np.array([666, 333, 0]),
        alpha_bars=schedules.alpha_bars(DiffusionConfig()),
    )
    stored = np.stack(list(PairSet(demo_run.pairs).images().as_numpy_iterator()))
    # Another batch size may round a pixel that lies between two values otherwise.
    difference = np.abs(stored.astype(int) - images.to_uint8(expected).numpy())
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_finished_set_is_left_as_it_is(demo_run, contents):
    before = contents(demo_run.pairs)
    make_pairs(demo_run.pairs, demo_run.teacher, TINY, RUN)
    assert contents(demo_run.pairs) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": SamplerConfig("uniform", 4)}, "calls=3, received: 4"),
        (
            {"pairs": dataclasses.replace(TINY.pairs, pairs=61)},
            "pairs=60, received: 61",
        ),
    ],
)
def test_other_settings_are_refused(demo_run, contents, change, message):
    before = contents(demo_run.pairs)
    with pytest.raises(InputError, match=message):
        make_pairs(
            demo_run.pairs, demo_run.teacher, dataclasses.replace(TINY, **change), RUN
        )
    assert contents(demo_run.pairs) == before


def test_missing_teacher_is_named(tmp_path):
    with pytest.raises(InputError, match=r"teacher holds no config.json"):
        make_pairs(str(tmp_path / "pairs"), str(tmp_path / "teacher"), TINY, RUN)
    assert list(tmp_path.iterdir()) == []
