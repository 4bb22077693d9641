import pytest

from tests.networks import randomise
from tests.tiny_run import TINY
from tf_student.models.teacher import Teacher
from tf_student.models.unet import UNet


@pytest.fixture
def teacher(tmp_path):
    """The directory of a teacher with random weights."""
    directory = str(tmp_path / "teacher")
    Teacher(randomise(UNet(TINY.unet))).save(directory)
    return directory
