import json

import numpy as np
import pytest
import tensorflow as tf

from tf_student.models.teacher import Teacher
from tf_student.pairs import manifests
from tf_student.presets import systems
from tf_student.runtime import options
from tf_student.training.reporter import read_metrics

_COMMANDS = (
    "teacher",
    "pairs",
    "distill",
    "match",
    "sample",
    "interpolate",
    "evaluate",
    "export",
)


@pytest.mark.parametrize("command", _COMMANDS)
def test_ends_well(chain, command):
    finished = chain.finished[command]
    assert finished.code == 0, finished.err
    assert "Traceback" not in finished.err


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("teacher", "The teacher is in {}/teacher. Next: tf-student pairs"),
        ("pairs", "The pairs are in {}/pairs. Next: tf-student distill"),
        ("distill", "The student is in {}/student. Next: tf-student evaluate"),
        ("match", "The matched student is in {}/matched. Next: tf-student evaluate"),
        ("evaluate", "The report is {}/evaluation.html."),
        ("sample", "The images are in {0}/samples.png and {0}/samples."),
        ("interpolate", "The interpolations are in {}/interpolation.png."),
        ("export", "The SavedModel is in {}/export/1."),
    ],
)
def test_says_where_its_work_is(chain, command, line):
    out = chain.finished[command].out
    assert out.splitlines()[-1] == line.format(chain.work)


def test_work_directory_has_a_part_for_each_command(chain):
    assert sorted(path.name for path in chain.work.iterdir()) == [
        "evaluation",
        "evaluation.html",
        "evaluation.json",
        "export",
        "features",
        "interpolation.png",
        "matched",
        "pairs",
        "samples",
        "samples.png",
        "statistics",
        "student",
        "teacher",
    ]


def test_flags_reach_the_teachers_configuration(chain):
    values = json.loads((chain.work / "teacher" / "config.json").read_text())
    assert values["unet"] == {
        "image_size": 8,
        "channels": 1,
        "base_width": 8,
        "width_multipliers": [1],
        "blocks_per_level": 1,
        "attention_resolutions": [],
        "groups": 4,
        "norm_epsilon": 1e-06,
        "dropout": 0.0,
    }
    train = values["train"]
    assert (train["steps"], train["batch_size"], train["decay_steps"]) == (24, 16, 0)
    assert values["run"]["deterministic"] is True
    assert values["log"]["evaluate_every"] == 8


def test_preset_fills_in_what_no_flag_gives(chain):
    values = json.loads((chain.work / "student" / "config.json").read_text())
    assert values["distill"] == options.to_dict(systems.DIGITS.distill)
    assert values["train"]["beta_2"] == systems.DIGITS.student.beta_2
    assert values["diffusion"]["timesteps"] == 1000


@pytest.mark.parametrize("part", ["teacher", "student"])
def test_training_leaves_its_files(chain, part):
    names = {path.name for path in (chain.work / part).iterdir()}
    assert {
        "checkpoints",
        "config.json",
        "logs",
        "metrics.jsonl",
        "model.keras",
    } <= names


@pytest.mark.parametrize("part", ["teacher", "student"])
def test_last_three_checkpoints_are_kept(chain, part):
    paths = (chain.work / part / "checkpoints").glob("*.index")
    assert sorted(path.stem for path in paths) == ["ckpt-12", "ckpt-18", "ckpt-24"]


def test_losses_are_reported_and_fall(chain):
    lines = read_metrics(str(chain.work / "teacher"))
    assert [line["step"] for line in lines] == list(range(2, 25, 2))
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_held_out_losses_are_reported(chain):
    lines = read_metrics(str(chain.work / "student"))
    held_out = [line["step"] for line in lines if "held_out_loss" in line]
    assert held_out == [8, 16, 24]


def test_pairs_are_complete_and_of_this_teacher(chain):
    manifest = manifests.read(str(chain.work / "pairs"))
    teacher = Teacher.load(str(chain.work / "teacher"))
    assert manifest.complete
    counts = [len(manifest.split(name)) for name in ("train", "held_out")]
    assert counts == [18, 2]
    assert manifest.teacher == teacher.fingerprint
    assert (manifest.sampler.calls, manifest.device_batch) == (60, 32)


def _read(path):
    return tf.io.decode_png(tf.io.read_file(str(path))).numpy()


@pytest.mark.parametrize(
    "name",
    [
        "samples.png",
        "interpolation.png",
        "teacher/samples.png",
        "student/teacher_above_student.png",
    ],
)
def test_pictures_are_readable(chain, name):
    assert _read(chain.work / name).std() > 0


def test_single_images_are_readable(chain):
    for who in ("teacher", "student", "matched"):
        paths = sorted((chain.work / "samples" / who).iterdir())
        assert [path.name for path in paths] == [f"{i:06d}.png" for i in range(5)]
        assert all(_read(path).shape == (8, 8, 1) for path in paths)


def test_matching_measures_its_images(chain):
    lines = [v for v in read_metrics(str(chain.work / "matched")) if "FID" in v]
    assert [line["step"] for line in lines] == [8]
    assert lines[0]["FID"] > 0 and 0 <= lines[0]["smallest_class"] <= 0.1


def test_evaluation_holds_every_network(chain):
    values = json.loads((chain.work / "evaluation.json").read_text())
    assert (values["samples"], values["repeats"]) == (200, 2)
    assert (values["extractor"], values["real_count"]) == ("digits", 1797)
    networks = values["networks"]
    assert {name: network["calls"] for name, network in networks.items()} == {
        "teacher": 40,
        "teacher, dpm++2m": 5,
        "student": 1,
        "matched": 1,
    }
    for network in networks.values():
        assert sorted(network["scores"]) == [
            "FID",
            "IS",
            "KID",
            "coverage",
            "density",
            "diversity",
            "precision",
            "recall",
        ]
        assert network["scores"]["FID"]["mean"] > 0


def test_evaluation_prints_the_number_of_samples(chain):
    out = chain.finished["evaluate"].out
    assert "200 generated images in each of 2 range(s) of seeds" in out
    assert "FID(student) / FID(teacher) = " in out


def test_export_serves_the_images_that_sample_draws(chain):
    served = tf.saved_model.load(str(chain.work / "export" / "1")).signatures["sample"]
    images = served(seed=tf.constant(0, tf.int64), count=tf.constant(5))["images"]
    drawn = [
        _read(chain.work / "samples" / "student" / f"{i:06d}.png") for i in range(5)
    ]
    difference = np.abs(images.numpy().astype(int) - np.stack(drawn))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_evaluation_says_how_far_it_is_and_no_more(chain):
    err = chain.finished["evaluate"].err
    for label in ("real", "teacher 1/2", "student 2/2", "student, same noise"):
        assert f"{label}: 100%" in err
    assert all("image/s]" in line for line in err.splitlines() if line)


@pytest.mark.parametrize("command", ["sample", "interpolate", "export"])
def test_short_commands_write_nothing_on_stderr(chain, command):
    assert chain.finished[command].err == ""
