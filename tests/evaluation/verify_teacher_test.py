import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.data import datasets, images
from tf_student.diffusion import losses, noise, schedules
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.evaluation.verify_teacher import verify_teacher
from tf_student.models import model_directory
from tf_student.runtime.errors import InputError

LOOK = VerifyConfig(count=5, real_images=20)


@pytest.fixture(scope="module")
def found(demo_run, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("verified"))
    return verify_teacher(
        directory, demo_run.teacher, LOOK, TINY.sampler, RUN, TINY.data
    )


def test_samples_are_drawn(found):
    sheet = tf.io.decode_png(tf.io.read_file(found.path)).numpy()
    assert sheet.ndim == 3 and 0 < found.deviation < 128


def test_the_loss_is_that_of_the_noise_at_each_level(found, demo_run):
    teacher = model_directory.load_teacher(demo_run.teacher)
    pixels = np.stack(list(datasets.load(TINY.data, (8, 8, 1)).images().take(20)))
    eps = noise.normal(0, np.arange(noise.TEACHER, noise.TEACHER + 20), (8, 8, 1))
    assert list(found.losses) == [100, 300, 500, 700, 900]
    expected = losses.noise_loss(
        lambda x, t: teacher(x, t),
        images.to_float(tf.constant(pixels)),
        eps,
        tf.fill([20], 300),
        alpha_bars=schedules.alpha_bars(TINY.diffusion),
    )
    np.testing.assert_allclose(found.losses[300], np.mean(expected), rtol=1e-5)


def test_the_text_has_all_of_it(found):
    first, second = found.text().splitlines()
    assert first.startswith(f"samples: {found.path}, mean ")
    assert second.startswith("noise prediction loss: ") and "t=900: " in second


def test_without_images_there_is_no_loss(demo_run, tmp_path):
    found = verify_teacher(str(tmp_path), demo_run.teacher, LOOK, TINY.sampler, RUN)
    assert found.losses is None and len(found.text().splitlines()) == 1


def test_no_teacher_leaves_nothing(tmp_path):
    directory = tmp_path / "work"
    with pytest.raises(InputError, match="holds no config"):
        verify_teacher(
            str(directory), str(tmp_path / "teacher"), LOOK, TINY.sampler, RUN
        )
    assert not directory.exists()


def test_missing_images_leave_nothing(demo_run, tmp_path):
    directory = tmp_path / "work"
    data = dataclasses.replace(TINY.data, dataset="missing.npz")
    with pytest.raises(InputError, match=r"missing\.npz"):
        verify_teacher(str(directory), demo_run.teacher, LOOK, TINY.sampler, RUN, data)
    assert not directory.exists()
