import dataclasses
import json
import os
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.diffusion import noise
from tf_student.diffusion.diffusion_config import DiffusionConfig
from tf_student.evaluation.evaluation_config import EvaluateConfig
from tf_student.evaluation.image_quality import ImageQuality
from tf_student.models.student import Student
from tf_student.models.teacher import Teacher
from tf_student.pairs.reader import PairSet
from tf_student.runtime import devices
from tf_student.runtime.errors import DivergedError, InputError, Preempted
from tf_student.training import loop, match_phases
from tf_student.training.match_config import MatchConfig
from tf_student.training.match_distribution import match_distribution
from tf_student.training.match_task import MatchTask
from tf_student.training.reporter import read_metrics


def _match(demo_run, directory, *, config=TINY.match, run=RUN, **options):
    """Matches the demo's student; options of `TrainConfig` may be changed."""
    known = ("teacher", "student", "pairs", "real", "quality", "log")
    given = {name: options.pop(name) for name in known if name in options}
    inputs = {"teacher": demo_run.teacher, "student": demo_run.student}
    inputs |= {"pairs": demo_run.pairs, "log": TINY.log}
    return match_distribution(
        directory=str(directory),
        config=config,
        train=dataclasses.replace(TINY.matching, **options),
        run=run,
        **{**inputs, **given},
    )


def _weights_equal(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def matched(demo_run):
    """The directory of the demo's run, and what a finished run returns."""
    return Path(demo_run.matched), _match(demo_run, demo_run.matched)


def test_writes_a_student_and_where_it_comes_from(demo_run, matched):
    directory, student = matched
    assert _weights_equal(student, Student.load(str(directory)))
    start = Student.load(demo_run.student)
    assert not _weights_equal(student, start)
    assert student.origin == dataclasses.replace(
        start.origin, student=start.unet.fingerprint(), objective="sid"
    )
    with open(directory / "config.json") as file:
        values = json.load(file)
    assert (values["command"], values["network"]) == ("match", "student")
    assert os.path.exists(directory / "samples.png")


def test_metrics_tell_of_every_phase(matched):
    line = next(v for v in read_metrics(str(matched[0])) if "loss" in v)
    names = {
        *("loss", "gradient_norm", "fake_loss", "fake_gradient_norm"),
        *("score_gap", "teacher_error", "fake_error", "spread"),
    }
    assert names <= line.keys()
    # At first the fake score is the teacher.
    assert line["fake_error"] == pytest.approx(line["teacher_error"], rel=0.2)


def test_run_stopped_by_sigterm_goes_on_to_the_same_bits(
    demo_run, tmp_path, monkeypatch
):
    """With every phase: two updates of the fake score, pairs, and a discriminator."""
    options = {
        "config": MatchConfig(fake_updates=2, regression=0.5, adversarial=0.1),
        "run": dataclasses.replace(RUN, deterministic=True),
        "pairs": demo_run.pairs,
        "real": TINY.data,
    }
    whole = _match(demo_run, tmp_path / "whole", **options)

    class Asked(loop.StopSignal):
        def __enter__(self):
            self.received = True
            return self

    with monkeypatch.context() as patched:
        patched.setattr(loop, "StopSignal", Asked)
        with pytest.raises(Preempted, match="Saved step 1 of 6"):
            _match(demo_run, tmp_path / "parts", **options)
    resumed = _match(demo_run, tmp_path / "parts", **options)
    assert _weights_equal(whole, resumed)
    first, last = (
        tf.train.load_checkpoint(str(tmp_path / name / "checkpoints"))
        for name in ("whole", "parts")
    )
    for name in ("model", "ema", "optimizer", "fake", "fake_optimizer"):
        key = f"{name}/3/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(first.get_tensor(key), last.get_tensor(key))
    key = "discriminator_optimizer/5/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(first.get_tensor(key), last.get_tensor(key))


def _first_line(directory):
    return next(v for v in read_metrics(str(directory)) if "loss" in v)


def test_devices_and_parts_change_only_the_rounding(
    demo_run, matched, tmp_path, every_device
):
    run = dataclasses.replace(RUN, recompute=True, accumulate=2)
    _match(demo_run, tmp_path, run=run, steps=2)
    line, expected = _first_line(tmp_path), _first_line(matched[0])
    for name in (
        *("loss", "gradient_norm", "fake_loss", "fake_gradient_norm"),
        *("score_gap", "teacher_error", "fake_error"),
    ):
        assert line[name] == pytest.approx(expected[name], rel=1e-3), name


@pytest.mark.parametrize(
    ("objective", "run"),
    [
        ("dmd", {"dtype": "bfloat16"}),
        ("sid", {"dtype": "float16", "xla": "on"}),
    ],
)
def test_trains_with_other_number_types(demo_run, matched, tmp_path, objective, run):
    _match(
        demo_run,
        tmp_path,
        config=MatchConfig(objective),
        run=dataclasses.replace(RUN, **run),
        steps=2,
    )
    line, expected = _first_line(tmp_path), _first_line(matched[0])
    assert np.isfinite(list(line.values())).all()
    for name in ("spread", "teacher_error", "fake_error"):
        assert line[name] == pytest.approx(expected[name], rel=0.3)


class _Scripted:
    """Gives FIDs in turn."""

    samples = 4

    def __init__(self, *fids):
        self.fids, self.seen = list(fids), []

    def prepare(self, shape):
        assert shape == (8, 8, 1) and not self.seen

    def __call__(self, images):
        self.seen.append(images)
        return {"FID": self.fids.pop(0)}


def test_weights_with_the_lowest_fid_are_kept(demo_run, tmp_path):
    quality = _Scripted(3.0, 5.0)
    config = MatchConfig(keep="fid")
    # Without regression no pairs are read.
    given = {"quality": quality, "pairs": "/nowhere"}
    kept = _match(demo_run, tmp_path, config=config, **given)
    # Step 4 had the lower FID, and its images are those of the kept weights.
    generator = kept.generator(devices.make_strategy(), RUN)
    images = generator.from_seed(TINY.matching.seed, noise.SELECTION, 4)
    np.testing.assert_array_equal(images, quality.seen[0])
    assert not np.array_equal(images, quality.seen[1])
    fids = [v["FID"] for v in read_metrics(str(tmp_path)) if "FID" in v]
    assert fids == [3.0, 5.0]


def test_quality_that_cannot_be_measured_is_an_error_before_training(
    demo_run, tmp_path
):
    config = EvaluateConfig(extractor="/nowhere")
    quality = ImageQuality("digits", samples=4, config=config)
    with pytest.raises(InputError, match="`extractor` must be"):
        _match(
            demo_run,
            tmp_path / "matched",
            config=MatchConfig(keep="fid"),
            quality=quality,
        )
    assert not (tmp_path / "matched").exists()


def test_fid_that_is_not_finite_is_an_error(demo_run, tmp_path):
    student = Student.load(demo_run.student)
    task = MatchTask(
        teacher=student.unet,
        start=student,
        config=MatchConfig(keep="fid"),
        strategy=devices.make_strategy(),
        directory=str(tmp_path),
        seed=0,
        run=RUN,
        quality=_Scripted(float("nan")),
    )
    state = types.SimpleNamespace(step=tf.constant(4), ema=student)
    reporter = types.SimpleNamespace(scalars=lambda step, values: None)
    with pytest.raises(DivergedError, match="FID became nan at step 4"):
        task.evaluate(state, reporter)
    assert list(tmp_path.iterdir()) == []


def _other_teacher(demo_run):
    other = Teacher.load(demo_run.teacher)
    other.unet.weights[0].assign(other.unet.weights[0].numpy() + 0.5)
    return other


def test_student_of_another_teacher_is_an_error(demo_run, tmp_path):
    with pytest.raises(InputError, match="`student` must be a student of `teacher`"):
        _match(demo_run, tmp_path / "matched", teacher=_other_teacher(demo_run))
    assert not (tmp_path / "matched").exists()


def test_student_of_another_process_is_an_error(demo_run, tmp_path):
    student = Student(
        Student.load(demo_run.student).unet, DiffusionConfig(timesteps=500)
    )
    with pytest.raises(InputError, match="must have the network and the process"):
        _match(demo_run, tmp_path / "matched", student=student)
    assert not (tmp_path / "matched").exists()


def test_another_start_does_not_continue_a_run(demo_run, matched, tmp_path):
    student = Student.load(demo_run.student)
    student.weights[0].assign(student.weights[0].numpy() + 0.5)
    with pytest.raises(InputError, match="was started with student="):
        _match(demo_run, matched[0], student=student)


def test_pairs_of_another_teacher_are_an_error(demo_run, tmp_path):
    student = Student(Student.load(demo_run.student).unet)
    with pytest.raises(InputError, match="was made by another teacher"):
        _match(
            demo_run,
            tmp_path / "matched",
            teacher=_other_teacher(demo_run),
            student=student,
            pairs=PairSet(demo_run.pairs),
            config=MatchConfig(regression=1.0),
        )
    assert not (tmp_path / "matched").exists()


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        (TINY.match, {"pairs": "a"}, "not a pair set. Pairs are .*regression=0.05; 0 "),
        (TINY.match, {"pairs": None}, "`pairs` must be given with regression"),
        (MatchConfig(adversarial=1.0), {}, "`real` must be given with adversarial"),
        (MatchConfig(keep="fid"), {}, "`quality` must be given with keep=fid"),
        (MatchConfig(), {"real": "digits"}, "`real` must not be given without advers"),
    ],
)
def test_inputs_that_the_options_do_not_use_are_an_error(
    demo_run, tmp_path, config, given, message
):
    with pytest.raises(InputError, match=message):
        _match(demo_run, tmp_path / "matched", config=config, **given)
    assert not (tmp_path / "matched").exists()


def test_checks_name_what_went_wrong_and_what_helps():
    start = match_phases.Measures(teacher_error=0.1, spread=1.0)
    phases = match_phases.MatchPhases(None, None, MatchConfig(), start)
    healthy = {"teacher_error": 0.11, "spread": 0.9}
    phases.check(healthy)
    with pytest.raises(DivergedError, match=r"fallen behind.*Raise fake_learning_rate"):
        phases.check({**healthy, "teacher_error": 0.2})
    # Parts of one image have no spread.
    phases.check({"teacher_error": 0.11})
    with pytest.raises(DivergedError, match="too similar"):
        phases.check({**healthy, "spread": 0.1})
