import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.data import images
from tf_student.diffusion import noise
from tf_student.models import model_directory
from tf_student.models.draw import interpolate, sample
from tf_student.models.draw_config import InterpolateConfig, SampleConfig


def _read(path):
    return tf.io.decode_png(tf.io.read_file(str(path))).numpy()


@pytest.fixture(scope="module")
def drawn(demo_run, tmp_path_factory):
    """Five images of both networks, drawn with seed 3."""
    directory = tmp_path_factory.mktemp("drawn")
    both = SampleConfig(what="both", count=5, seed=3)
    sample(str(directory), demo_run.teacher, demo_run.student, both, TINY.sampler, RUN)
    return directory


def test_each_image_is_a_file(drawn):
    for who in ("teacher", "student"):
        names = sorted(path.name for path in (drawn / "samples" / who).iterdir())
        assert names == [f"{number:06d}.png" for number in range(5)]


def test_students_images_are_those_of_the_seed(drawn, demo_run):
    student = model_directory.load_student(demo_run.student)
    z = noise.normal(3, noise.EVALUATION + np.arange(5), (8, 8, 1))
    expected = images.to_uint8(student(z)).numpy().astype(int)
    found = [_read(drawn / "samples" / "student" / f"{i:06d}.png") for i in range(5)]
    assert np.abs(np.stack(found) - expected).max() <= 1


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


def test_number_of_images_does_not_change_them(drawn, demo_run, tmp_path):
    # More than a batch of all devices holds.
    many = SampleConfig(what="student", count=70, seed=3)
    sample(str(tmp_path), demo_run.teacher, demo_run.student, many, TINY.sampler, RUN)
    for number in range(5):
        name = f"samples/student/{number:06d}.png"
        np.testing.assert_array_equal(_read(tmp_path / name), _read(drawn / name))
    assert not (tmp_path / "samples" / "teacher").exists()


def test_walks_begin_and_end_at_images_of_the_seed(drawn, demo_run, tmp_path):
    walks = InterpolateConfig(rows=2, columns=4, seed=3)
    path = interpolate(str(tmp_path), demo_run.student, walks, RUN)
    sheet = _read(path)
    scale = 768 // 37
    sheet = sheet[::scale, ::scale].astype(int)
    assert sheet.shape == (19, 37, 1)
    ends = [sheet[1:9, 1:9], sheet[1:9, 28:36], sheet[10:18, 1:9], sheet[10:18, 28:36]]
    for number, end in enumerate(ends):
        expected = _read(drawn / "samples" / "student" / f"{number:06d}.png")
        assert np.abs(end - expected).max() <= 1
