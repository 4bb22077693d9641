import types

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import randomise
from tests.tiny_run import RUN, TINY
from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.models.draw import draw_interpolations, draw_samples
from tf_student.models.draw_config import InterpolateConfig, SampleConfig
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime.errors import InputError

FIVE = SampleConfig(count=5, seed=3)


def _read(path):
    return tf.io.decode_png(tf.io.read_file(str(path))).numpy()


@pytest.fixture(scope="module")
def networks():
    return types.SimpleNamespace(
        teacher=Teacher(randomise(UNet(TINY.unet)), TINY.diffusion),
        student=Student(randomise(UNet(TINY.unet), seed=1), TINY.diffusion),
    )


@pytest.fixture(scope="module")
def drawn(networks, tmp_path_factory):
    """Five images of both networks, drawn with seed 3."""
    directory = tmp_path_factory.mktemp("drawn")
    path = draw_samples(
        networks.teacher,
        networks.student,
        str(directory),
        config=FIVE,
        sampler=TINY.sampler,
        run=RUN,
    )
    assert path == str(directory / "samples.png")
    return directory


def test_each_image_is_a_file(drawn):
    for who in ("teacher", "student"):
        names = sorted(path.name for path in (drawn / "samples" / who).iterdir())
        assert names == [f"{number:06d}.png" for number in range(5)]


def test_students_images_are_those_of_the_seed(drawn, networks):
    z = noise.normal(3, noise.EVALUATION + np.arange(5), (8, 8, 1))
    expected = images.to_uint8(networks.student(z)).numpy().astype(int)
    folder = drawn / "samples" / "student"
    written = np.stack([_read(folder / f"{i:06d}.png") for i in range(5)])
    assert np.abs(written - expected).max() <= 1


def test_grid_has_the_teachers_row_above_the_students(drawn):
    # One row each, 16 columns wide, magnified five times.
    sheet = _read(drawn / "samples.png")[::5, ::5]
    assert sheet.shape == (19, 145, 1)
    for row, who in enumerate(("teacher", "student")):
        first = sheet[1 + 9 * row :, 1:][:8, :8]
        expected = _read(drawn / "samples" / who / "000000.png")
        np.testing.assert_array_equal(first, expected)


def test_rest_of_the_grid_is_white(drawn):
    assert _read(drawn / "samples.png")[::5, ::5][:, 46:].min() == 255


def test_number_of_images_does_not_change_them(drawn, networks, tmp_path):
    # More than a batch of all devices holds.
    many = SampleConfig(count=70, seed=3)
    draw_samples(None, networks.student, str(tmp_path), config=many, run=RUN)
    for number in range(5):
        name = f"samples/student/{number:06d}.png"
        np.testing.assert_array_equal(_read(tmp_path / name), _read(drawn / name))
    assert not (tmp_path / "samples" / "teacher").exists()


def test_interpolations_begin_and_end_at_images_of_the_seed(drawn, networks, tmp_path):
    config = InterpolateConfig(rows=2, columns=4, seed=3)
    path = draw_interpolations(networks.student, str(tmp_path), config=config, run=RUN)
    assert path == str(tmp_path / "interpolation.png")
    sheet = _read(path)
    scale = 768 // 37
    sheet = sheet[::scale, ::scale].astype(int)
    assert sheet.shape == (19, 37, 1)
    ends = [sheet[1:9, 1:9], sheet[1:9, 28:36], sheet[10:18, 1:9], sheet[10:18, 28:36]]
    for number, end in enumerate(ends):
        expected = _read(drawn / "samples" / "student" / f"{number:06d}.png")
        assert np.abs(end - expected).max() <= 1


def test_the_teacher_by_its_directory_gives_the_same_images(drawn, networks, tmp_path):
    directory = str(tmp_path / "teacher")
    networks.teacher.save(directory)
    draw_samples(
        directory, None, str(tmp_path), config=FIVE, sampler=TINY.sampler, run=RUN
    )
    for number in range(5):
        name = f"samples/teacher/{number:06d}.png"
        np.testing.assert_array_equal(_read(tmp_path / name), _read(drawn / name))
    assert not (tmp_path / "samples" / "student").exists()


def test_without_a_network_nothing_is_drawn(tmp_path):
    with pytest.raises(InputError, match="`teacher` or `student` must be a network"):
        draw_samples(None, None, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
