import subprocess
import sys

import keras
import pytest

from tests.networks import TINY
from tf_student.models.student import Student
from tf_student.models.unet import UNet

LOAD = """
import sys, tf_student
assert not {'tensorflow', 'keras'} & set(sys.modules)
import keras
assert 'tf_student.models.unet' not in sys.modules
print(type(keras.models.load_model(sys.argv[1])).__name__)
"""


@pytest.mark.parametrize("kind", [Student, UNet])
def test_keras_loads_a_model_after_importing_the_library(tmp_path, kind):
    path, unet = str(tmp_path / "model.keras"), UNet(TINY)
    model = unet if kind is UNet else Student(unet)
    keras.Model.save(model, path)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, path], capture_output=True, text=True, cwd="/"
    )
    assert done.stdout.split() == [kind.__name__], done.stderr


def test_the_real_classes_replace_the_placeholders():
    for kind in (Student, UNet):
        assert keras.saving.get_registered_name(kind) == f"tf_student>{kind.__name__}"
        assert keras.saving.get_registered_object(f"tf_student>{kind.__name__}") is kind
