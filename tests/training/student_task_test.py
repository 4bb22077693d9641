import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.networks import TINY
from tf_student.diffusion.diffusion_config import DiffusionConfig, SamplerConfig
from tf_student.models.student import Student
from tf_student.models.unet import UNet
from tf_student.pairs import manifests
from tf_student.pairs.pairs_config import PairsConfig
from tf_student.pairs.reader import PairSet
from tf_student.pairs.writer import write_pairs
from tf_student.runtime.errors import DivergedError
from tf_student.runtime.run_config import RunConfig
from tf_student.runtime.run_directory import RunDirectory
from tf_student.training.reporter import Reporter, read_metrics
from tf_student.training.student_task import StudentTask, student_loss
from tf_student.training.training_config import DistillConfig

_SHAPE = (8, 8, 3)


def _white(z):
    """A teacher whose every image is white."""
    return np.full(z.shape, 255, np.uint8)


@pytest.fixture(scope="module")
def pair_set(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("pairs"))
    manifest = manifests.plan(
        "a teacher",
        _SHAPE,
        DiffusionConfig(),
        SamplerConfig(),
        PairsConfig(pairs=12, held_out_pairs=5, shard_pairs=8),
        RunConfig(),
    )
    write_pairs(directory, manifest, _white, batch=4)
    return PairSet(directory)


@pytest.fixture
def make_task(pair_set, tmp_path):
    def make(distance="l1", kind=StudentTask, **extra):
        distill = DistillConfig(distance)
        return kind(pair_set, distill, str(tmp_path), 0, 2, **extra)

    return make


def test_student_is_called_in_training_mode_with_the_seed():
    seen = {}

    def student(z, training, seed):
        seen.update(training=training, seed=seed)
        return z

    z, target = tf.zeros([3, *_SHAPE]), tf.zeros([3, *_SHAPE], tf.uint8)
    loss = student_loss(student, (z, target), tf.constant([4, 5]), distance="l1")
    # uint8 0 is -1, so each of the 192 values is 1 apart.
    np.testing.assert_allclose(loss.numpy(), [192.0] * 3, rtol=1e-6)
    assert seen["training"] is True
    assert seen["seed"].numpy().tolist() == [4, 5]


@pytest.mark.parametrize(
    ("distance", "expected"),
    # Each of the 192 values is half, so 0.5 from white.
    [("l1", 0.5 * 192), ("l2", 0.25 * 192)],
)
def test_loss_is_the_distance_summed_over_pixels(make_task, distance, expected):
    def half(z, training, seed):
        return tf.fill(z.shape, 0.5)

    z, target = tf.zeros([3, *_SHAPE]), tf.fill([3, *_SHAPE], 255)
    losses = make_task(distance).loss(half, (z, target), tf.constant([0, 0]))
    np.testing.assert_allclose(losses.numpy(), [expected] * 3, rtol=1e-6)


def test_held_out_loss_is_the_mean_over_all_held_out_pairs(make_task):
    # Five pairs in batches of two: the last one is short.
    loss = make_task().held_out_loss(lambda z: tf.fill(tf.shape(z), 0.0))
    np.testing.assert_allclose(loss, 192.0, rtol=1e-6)


def test_examples_begin_anywhere(make_task):
    task = make_task()
    later = next(iter(task.examples(7)))
    skipped = next(iter(task.examples(0).skip(7)))
    np.testing.assert_array_equal(later[0].numpy(), skipped[0].numpy())


@dataclasses.dataclass(frozen=True)
class _ScriptedTask(StudentTask):
    """Returns scripted held-out losses."""

    script: tuple = ()
    evaluated: list = dataclasses.field(default_factory=list)

    def held_out_loss(self, model):
        self.evaluated.append(model)
        return self.script[len(self.evaluated) - 1]


@pytest.fixture
def student_state(one_replica, make_toy_state, toy_train, tmp_path):
    """A student's state in a run's directory, and how to set and read its weights."""
    diffusion = DiffusionConfig()
    configs = {"unet": TINY, "diffusion": diffusion}
    RunDirectory.claim(str(tmp_path), "distill", configs, network="student")
    return make_toy_state(one_replica, toy_train(), lambda: Student(UNet(TINY)))


def _evaluate(task, state, tmp_path, value, step):
    for weight in state.ema.weights:
        weight.assign(np.full(weight.shape, value, np.float32))
    state.step.assign(step)
    reporter = Reporter(
        str(tmp_path), start=step, total=9, label="student", progress=False
    )
    task.evaluate(state, reporter)
    reporter.close()


def _saved(tmp_path):
    student = Student.load(str(tmp_path))
    return {float(w.numpy().flat[0]) for w in student.weights}


def test_best_ema_weights_are_kept(make_task, student_state, tmp_path):
    task = make_task(kind=_ScriptedTask, script=(3.0, 2.0, 2.5))
    saved = []
    for step, value in enumerate([0.1, 0.2, 0.3], 1):
        _evaluate(task, student_state, tmp_path, value, step)
        saved.append(_saved(tmp_path))
    assert saved == [{np.float32(0.1)}, {np.float32(0.2)}, {np.float32(0.2)}]


def test_best_loss_is_part_of_the_state(make_task, student_state, tmp_path):
    task = make_task(kind=_ScriptedTask, script=(3.0, 2.0, 2.5))
    best = []
    for step in (1, 2, 3):
        _evaluate(task, student_state, tmp_path, 0.1, step)
        best.append(float(student_state.best.numpy()))
    assert best == [3.0, 2.0, 2.0]


def test_loss_above_the_best_of_an_interrupted_run_is_not_kept(
    make_task, student_state, tmp_path
):
    _evaluate(
        make_task(kind=_ScriptedTask, script=(2.0,)), student_state, tmp_path, 0.1, 1
    )
    resumed = make_task(kind=_ScriptedTask, script=(2.1,))
    _evaluate(resumed, student_state, tmp_path, 0.2, 2)
    assert _saved(tmp_path) == {np.float32(0.1)}


def test_ema_weights_are_evaluated(make_task, student_state, tmp_path):
    task = make_task(kind=_ScriptedTask, script=(2.0,))
    _evaluate(task, student_state, tmp_path, 0.1, 1)
    assert task.evaluated == [student_state.ema]


def test_held_out_loss_is_reported(make_task, student_state, tmp_path):
    _evaluate(
        make_task(kind=_ScriptedTask, script=(2.0,)), student_state, tmp_path, 0.1, 7
    )
    assert read_metrics(str(tmp_path)) == [{"step": 7, "held_out_loss": 2.0}]


def test_grid_has_a_row_of_teacher_and_student(make_task, student_state, tmp_path):
    task = make_task(kind=_ScriptedTask, script=(2.0,))
    _evaluate(task, student_state, tmp_path, 0.0, 1)
    sheet = (tmp_path / "teacher_above_student.png").read_bytes()
    image = tf.io.decode_png(sheet).numpy()
    # Five columns and two rows of 9 pixels and a border of one, magnified 11 times.
    assert image.shape == (19 * 11, 46 * 11, 3)
    assert image[: 9 * 11].min() == 255


def test_loss_that_is_not_finite_is_an_error(make_task, student_state, tmp_path):
    task = make_task(kind=_ScriptedTask, script=(float("nan"),))
    with pytest.raises(DivergedError, match="held-out loss became nan at step 4"):
        _evaluate(task, student_state, tmp_path, 0.1, 4)
    assert not (tmp_path / "model.keras").exists()
