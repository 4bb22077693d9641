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
from tf_student.models.generator import Generator
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet
from tf_student.runtime import leftovers
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


def test_a_smaller_draw_leaves_no_image_of_the_last_one(networks, tmp_path):
    for config in (FIVE, SampleConfig(count=2, seed=4)):
        draw_samples(None, networks.student, str(tmp_path), config=config, run=RUN)
    folder = tmp_path / "samples" / "student"
    assert sorted(p.name for p in folder.iterdir()) == ["000000.png", "000001.png"]
    expected = networks.student.generate(2, 4, run=RUN)
    written = np.stack([_read(folder / f"{i:06d}.png") for i in range(2)])
    np.testing.assert_array_equal(written, expected)


def test_images_of_others_are_refused_before_anything_is_drawn(tmp_path):
    folder = tmp_path / "samples" / "student"
    folder.mkdir(parents=True)
    (folder / "000009.png").write_text("the user's")
    # The student does not exist either, but would be loaded later.
    with pytest.raises(InputError, match=r"000009.png, which is of another one"):
        draw_samples(None, str(tmp_path / "absent"), str(tmp_path), config=FIVE)
    assert [p.name for p in folder.iterdir()] == ["000009.png"]


def test_two_draws_at_once_are_an_error(networks, tmp_path):
    (tmp_path / "samples").mkdir()
    with leftovers.locked(str(tmp_path / "samples")):
        with pytest.raises(InputError, match="Another process writes to"):
            draw_samples(None, networks.student, str(tmp_path), config=FIVE, run=RUN)
    assert list((tmp_path / "samples").iterdir()) == []


def test_what_killed_commands_left_is_removed(networks, tmp_path):
    left = ["samples.png.tmp-0123abcd", "interpolation.png.tmp-0123abcd"]
    for name in (*left, "mine.png.tmp-0123abcd"):
        (tmp_path / name).write_text("half")
    draw_samples(None, networks.student, str(tmp_path), config=FIVE, run=RUN)
    config = InterpolateConfig(rows=1, columns=2)
    draw_interpolations(networks.student, str(tmp_path), config=config, run=RUN)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "interpolation.png",
        "mine.png.tmp-0123abcd",
        "samples",
        "samples.png",
    ]


def _fail(*arguments, **options):
    raise AssertionError("drawn too early")


@pytest.fixture
def idle(networks, monkeypatch):
    """Networks that must not draw."""
    for kind, name in ((Teacher, "sample"), (Student, "generate")):
        monkeypatch.setattr(kind, name, _fail)
    monkeypatch.setattr(Generator, "__call__", _fail)
    return networks


def test_all_networks_are_opened_before_one_draws(idle, tmp_path):
    absent = str(tmp_path / "absent")
    with pytest.raises(InputError, match=r"a path without config\.json"):
        draw_samples(idle.teacher, idle.student, str(tmp_path / "new"), matched=absent)
    assert not (tmp_path / "new").exists()


def test_labels_are_checked_before_a_network_draws(idle, tmp_path):
    config = SampleConfig(labels=(1,))
    with pytest.raises(InputError, match="`labels` must not be given"):
        draw_samples(idle.teacher, None, str(tmp_path / "new"), config=config)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("draw", [draw_samples, draw_interpolations])
def test_a_place_that_is_a_file_is_refused_before_a_network_draws(idle, draw, tmp_path):
    (tmp_path / "file").touch()
    inputs = (None, idle.student) if draw is draw_samples else (idle.student,)
    with pytest.raises(tf.errors.FailedPreconditionError, match="not a directory"):
        draw(*inputs, str(tmp_path / "file"))
