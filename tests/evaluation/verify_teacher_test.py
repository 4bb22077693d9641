import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY as NETWORK
from tests.tiny_run import RUN, TINY
from tf_student.data import datasets, images
from tf_student.diffusion import losses, noise, schedules
from tf_student.evaluation.evaluation_config import VerifyConfig
from tf_student.evaluation.verify_teacher import verify_teacher
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError

_CONFIG = VerifyConfig(count=5, real_images=20)


_OPTIONS = {"config": _CONFIG, "sampler": TINY.sampler, "run": RUN}


@pytest.fixture(scope="module")
def verification(demo_run, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("verified"))
    return verify_teacher(demo_run.teacher, directory, real=TINY.data, **_OPTIONS)


def test_samples_are_written(verification):
    sheet = tf.io.decode_png(tf.io.read_file(verification.path)).numpy()
    assert sheet.ndim == 3 and 0 < verification.deviation < 128


def test_the_loss_is_that_of_the_noise_at_each_level(verification, demo_run):
    teacher = Teacher.load(demo_run.teacher)
    pixels = np.stack(list(datasets.load(TINY.data, (8, 8, 1)).images().take(20)))
    eps = noise.normal(0, np.arange(noise.TEACHER, noise.TEACHER + 20), (8, 8, 1))
    assert list(verification.losses) == [100, 300, 500, 700, 900]
    expected = losses.noise_loss(
        lambda x, t: teacher.unet(x, t),
        images.to_float(tf.constant(pixels)),
        eps,
        tf.fill([20], 300),
        alpha_bars=schedules.alpha_bars(TINY.diffusion),
    )
    np.testing.assert_allclose(verification.losses[300], np.mean(expected), rtol=1e-5)


def test_the_text_has_all_figures(verification):
    first, second = verification.text().splitlines()
    assert first.startswith(f"samples: {verification.path}, mean ")
    assert second.startswith("prediction loss: ") and "t=900: " in second


def test_a_teacher_and_its_directory_give_the_same_figures(
    verification, demo_run, tmp_path
):
    teacher = Teacher.load(demo_run.teacher)
    other = verify_teacher(teacher, str(tmp_path), real="digits", **_OPTIONS)
    assert other == dataclasses.replace(
        verification, path=str(tmp_path / "teacher.png")
    )


def test_without_images_there_is_no_loss(demo_run, tmp_path):
    verification = verify_teacher(demo_run.teacher, str(tmp_path), **_OPTIONS)
    assert verification.losses is None and len(verification.text().splitlines()) == 1


def test_missing_teacher_writes_nothing(tmp_path):
    directory = tmp_path / "work"
    with pytest.raises(InputError, match=r"a path without config.json"):
        verify_teacher(str(tmp_path / "teacher"), str(directory), **_OPTIONS)
    assert not directory.exists()


def test_missing_images_write_nothing(demo_run, tmp_path):
    directory = tmp_path / "work"
    data = dataclasses.replace(TINY.data, dataset="missing.npz")
    with pytest.raises(InputError, match=r"missing\.npz"):
        verify_teacher(demo_run.teacher, str(directory), real=data, **_OPTIONS)
    assert not directory.exists()


@pytest.mark.parametrize("keep", [0, 60])
def test_a_damaged_image_is_named_and_nothing_is_written(tmp_path, keep):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    content = tf.io.encode_png(tf.constant(pixels, tf.uint8)).numpy()
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.png").write_bytes(content if i != 2 else content[:keep])
    teacher = Teacher(UNet(NETWORK))
    with pytest.raises(InputError, match=r"2\.png is not a readable image"):
        verify_teacher(teacher, str(tmp_path / "out"), real=str(folder), **_OPTIONS)
    assert not (tmp_path / "out").exists()
