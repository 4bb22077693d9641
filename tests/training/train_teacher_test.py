import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.data import grids
from tf_student.data.data_config import DataConfig
from tf_student.models import model_directory
from tf_student.runtime.errors import InputError
from tf_student.training.reporter import read_metrics
from tf_student.training.train_teacher import train_teacher


def test_leaves_the_averaged_weights(demo_run):
    checkpoint = tf.train.load_checkpoint(f"{demo_run.teacher}/checkpoints")
    weights = model_directory.load_teacher(demo_run.teacher).get_weights()
    for number, weight in enumerate(weights):
        stored = checkpoint.get_tensor(f"ema/{number}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(stored, weight)


def test_resolved_configuration_is_written(demo_run):
    with open(f"{demo_run.teacher}/config.json") as file:
        values = json.load(file)
    assert values["station"] == "teacher"
    assert values["unet"]["width_multipliers"] == [1, 2]
    assert values["train"]["steps"] == 6
    assert values["data"] == {
        "dataset": "digits",
        "split": "train",
        "data_dir": "",
        "flip": False,
    }


def test_reports_losses(demo_run):
    steps = [line["step"] for line in read_metrics(demo_run.teacher)]
    assert steps == [2, 4, 6]


def test_draws_its_samples(demo_run):
    sheet = tf.io.decode_png(tf.io.read_file(f"{demo_run.teacher}/samples.png"))
    # Eight by eight images of 9 pixels and a border of one, magnified seven times.
    assert sheet.shape == (73 * 7, 73 * 7, 1)


def test_finished_run_is_left_as_it_is(demo_run):
    before = model_directory.load_teacher(demo_run.teacher).get_weights()
    train_teacher(demo_run.teacher, TINY, RUN)
    after = model_directory.load_teacher(demo_run.teacher).get_weights()
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"unet": dataclasses.replace(TINY.unet, base_width=16)},
            "begun with base_width=8. Received: base_width=16",
        ),
        (
            {"teacher": dataclasses.replace(TINY.teacher, learning_rate=0.1)},
            "begun with learning_rate=0.001. Received: learning_rate=0.1",
        ),
        (
            {"data": DataConfig("digits", flip=True)},
            "begun with flip=False. Received: flip=True",
        ),
    ],
)
def test_another_configuration_is_refused(demo_run, contents, change, message):
    before = contents(demo_run.teacher)
    with pytest.raises(InputError, match=message):
        train_teacher(demo_run.teacher, dataclasses.replace(TINY, **change), RUN)
    assert contents(demo_run.teacher) == before


def test_directory_of_another_station_is_refused(demo_run, contents):
    before = contents(demo_run.student)
    with pytest.raises(InputError, match="Expected: teacher, received: distill"):
        train_teacher(demo_run.student, TINY, RUN)
    assert contents(demo_run.student) == before


def test_float16_trains_with_a_scaled_loss_and_float32_weights(demo_run, tmp_path):
    directory = str(tmp_path / "teacher")
    train_teacher(directory, TINY, dataclasses.replace(RUN, dtype="float16"))
    line, exact = read_metrics(directory)[-1], read_metrics(demo_run.teacher)[-1]
    assert line["loss_scale"] >= 1.0
    assert line["skipped_steps"] < line["step"] == TINY.teacher.steps
    np.testing.assert_allclose(line["loss"], exact["loss"], rtol=0.05)
    weights = model_directory.load_teacher(directory).get_weights()
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights)


def test_parts_of_a_batch_give_the_same_teacher(demo_run, tmp_path):
    directory = str(tmp_path / "teacher")
    system = dataclasses.replace(TINY, unet=dataclasses.replace(TINY.unet, dropout=0.0))
    losses = []
    for parts in (1, 2):
        folder = f"{directory}_{parts}"
        train_teacher(folder, system, dataclasses.replace(RUN, accumulate=parts))
        losses.append(read_metrics(folder)[-1]["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_blocks_that_are_computed_again_give_the_same_teacher(demo_run, tmp_path):
    run = dataclasses.replace(RUN, recompute=True)
    train_teacher(str(tmp_path / "teacher"), TINY, run)
    expected, found = (
        model_directory.load_teacher(directory).get_weights()
        for directory in (demo_run.teacher, str(tmp_path / "teacher"))
    )
    for weight, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, weight, atol=1e-4)


def test_parts_that_do_not_divide_a_batch_are_refused(tmp_path):
    run = dataclasses.replace(RUN, accumulate=7)
    with pytest.raises(InputError, match="accumulate=7, batch_size="):
        train_teacher(str(tmp_path / "teacher"), TINY, run)


def test_profiled_steps_are_recorded(tmp_path):
    directory = tmp_path / "teacher"
    log = dataclasses.replace(TINY.log, profile_steps=(2, 3))
    train_teacher(str(directory), dataclasses.replace(TINY, log=log), RUN)
    assert list(directory.glob("logs/plugins/profile/*/*.xplane.pb"))


def test_dataset_that_does_not_fit_is_refused(tmp_path):
    unet = dataclasses.replace(TINY.unet, channels=3)
    with pytest.raises(InputError, match=r"of digits, 1. Received: channels=3"):
        train_teacher(
            str(tmp_path / "teacher"), dataclasses.replace(TINY, unet=unet), RUN
        )
    assert list(tmp_path.iterdir()) == []


def test_unreadable_image_in_a_folder_is_named(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        grids.write_png(folder / f"{number}.png", np.zeros([8, 8, 1], np.uint8))
    whole = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(whole[:-30])
    system = dataclasses.replace(TINY, data=DataConfig(str(folder)))
    with pytest.raises(InputError, match=r"1.png is not a readable image"):
        train_teacher(str(tmp_path / "teacher"), system, RUN)
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png"]
