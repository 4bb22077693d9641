import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.stations.conftest import RUN, TINY
from tf_student import config, images, model_directory
from tf_student.errors import InputError
from tf_student.stations.teacher import train_teacher
from tf_student.training.reporter import read_metrics


def test_leaves_the_averaged_weights(road):
    checkpoint = tf.train.load_checkpoint(f"{road.teacher}/checkpoints")
    weights = model_directory.load_teacher(road.teacher).get_weights()
    for number, weight in enumerate(weights):
        stored = checkpoint.get_tensor(f"ema/{number}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(stored, weight)


def test_resolved_configuration_is_written(road):
    with open(f"{road.teacher}/config.json") as file:
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


def test_reports_losses(road):
    steps = [line["step"] for line in read_metrics(road.teacher)]
    assert steps == [2, 4, 6]


def test_draws_its_samples(road):
    sheet = tf.io.decode_png(tf.io.read_file(f"{road.teacher}/samples.png"))
    # Eight by eight images of 9 pixels and a border of one, magnified seven times.
    assert sheet.shape == (73 * 7, 73 * 7, 1)


def test_finished_run_is_left_as_it_is(road):
    before = model_directory.load_teacher(road.teacher).get_weights()
    train_teacher(road.teacher, TINY, RUN)
    after = model_directory.load_teacher(road.teacher).get_weights()
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
            {"data": config.DataConfig("digits", flip=True)},
            "begun with flip=False. Received: flip=True",
        ),
    ],
)
def test_another_configuration_is_refused(road, contents, change, message):
    before = contents(road.teacher)
    with pytest.raises(InputError, match=message):
        train_teacher(road.teacher, dataclasses.replace(TINY, **change), RUN)
    assert contents(road.teacher) == before


def test_directory_of_another_station_is_refused(road, contents):
    before = contents(road.student)
    with pytest.raises(InputError, match="Expected: teacher, received: distill"):
        train_teacher(road.student, TINY, RUN)
    assert contents(road.student) == before


def test_float16_is_refused(tmp_path):
    run = config.RunConfig(dtype="float16")
    with pytest.raises(InputError, match="Received: dtype=float16"):
        train_teacher(str(tmp_path / "teacher"), TINY, run)
    assert list(tmp_path.iterdir()) == []


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
        images.write_png(folder / f"{number}.png", np.zeros([8, 8, 1], np.uint8))
    whole = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(whole[:-30])
    system = dataclasses.replace(TINY, data=config.DataConfig(str(folder)))
    with pytest.raises(InputError, match=r"1.png is not a readable image"):
        train_teacher(str(tmp_path / "teacher"), system, RUN)
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png"]
