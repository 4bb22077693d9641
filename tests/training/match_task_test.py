import numpy as np
import tensorflow as tf

from tests.networks import TINY
from tests.tiny_run import RUN
from tf_student.diffusion import noise
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.runtime import devices
from tf_student.training.match_config import MatchConfig
from tf_student.training.match_task import MatchTask


def test_random_examples_do_not_end(tmp_path):
    """A long run with large batches draws more than 2^31 of them."""
    student = Student(UNet(TINY))
    task = MatchTask(
        teacher=student.unet,
        start=student,
        config=MatchConfig(),
        strategy=devices.make_strategy(),
        directory=str(tmp_path),
        seed=0,
        run=RUN,
    )
    example = next(iter(task.examples(2**33)))
    assert np.isfinite(example["z"]).all()
    indices = tf.constant([noise.MATCHING + 2**33])
    expected = noise.normal(0, indices, student.image_shape)[0]
    np.testing.assert_array_equal(example["z"], expected)
