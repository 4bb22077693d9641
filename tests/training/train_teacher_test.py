import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_run import RUN, TINY
from tf_student.data import grids
from tf_student.data.data_config import DataConfig
from tf_student.models.teacher import Teacher
from tf_student.runtime.errors import InputError
from tf_student.training.reporter import read_metrics
from tf_student.training.train_teacher import train_teacher


def _train(directory, run=RUN, **changes):
    """Trains the teacher as the demo does, with some fields of the preset changed."""
    preset = dataclasses.replace(TINY, **changes)
    return train_teacher(
        str(directory),
        data=preset.data,
        unet=preset.unet,
        diffusion=preset.diffusion,
        train=preset.teacher,
        sampler=preset.sampler,
        log=preset.log,
        run=run,
    )


def _weights(directory):
    return Teacher.load(str(directory)).unet.get_weights()


def test_writes_the_ema_weights(demo_run):
    checkpoint = tf.train.load_checkpoint(f"{demo_run.teacher}/checkpoints")
    for number, weight in enumerate(_weights(demo_run.teacher)):
        stored = checkpoint.get_tensor(f"ema/{number}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(stored, weight)


def test_resolved_configuration_is_written(demo_run):
    with open(f"{demo_run.teacher}/config.json") as file:
        values = json.load(file)
    assert (values["command"], values["network"]) == ("teacher", "teacher")
    assert values["unet"]["width_multipliers"] == [1]
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


def test_finished_run_keeps_its_weights_and_returns_them(demo_run):
    before = _weights(demo_run.teacher)
    teacher = _train(demo_run.teacher)
    for after in (_weights(demo_run.teacher), teacher.unet.get_weights()):
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)
    assert teacher.fingerprint == Teacher.load(demo_run.teacher).fingerprint
    assert teacher.diffusion == TINY.diffusion


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"unet": dataclasses.replace(TINY.unet, base_width=16)},
            "started with base_width=8. Received: base_width=16",
        ),
        (
            {"teacher": dataclasses.replace(TINY.teacher, learning_rate=0.1)},
            "started with learning_rate=0.001. Received: learning_rate=0.1",
        ),
        (
            {"data": DataConfig("digits", flip=True)},
            "started with flip=False. Received: flip=True",
        ),
    ],
)
def test_another_configuration_is_an_error(demo_run, contents, change, message):
    before = contents(demo_run.teacher)
    with pytest.raises(InputError, match=message):
        _train(demo_run.teacher, **change)
    assert contents(demo_run.teacher) == before


def test_directory_of_another_command_is_an_error(demo_run, contents):
    before = contents(demo_run.student)
    with pytest.raises(InputError, match="Expected: teacher, received: distill"):
        _train(demo_run.student)
    assert contents(demo_run.student) == before


def test_float16_trains_with_a_scaled_loss_and_float32_weights(demo_run, tmp_path):
    directory = str(tmp_path / "teacher")
    _train(directory, dataclasses.replace(RUN, dtype="float16"))
    line, exact = read_metrics(directory)[-1], read_metrics(demo_run.teacher)[-1]
    assert line["loss_scale"] >= 1.0
    assert line["skipped_steps"] < line["step"] == TINY.teacher.steps
    np.testing.assert_allclose(line["loss"], exact["loss"], rtol=0.05)
    weights = _weights(directory)
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights)


def test_accumulation_on_two_devices_gives_the_same_teacher(
    demo_run, tmp_path, every_device
):
    _train(tmp_path, dataclasses.replace(RUN, accumulate=2))
    losses, expected = (
        [line["loss"] for line in read_metrics(str(path))]
        for path in (tmp_path, demo_run.teacher)
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_gradient_checkpointing_gives_the_same_teacher(demo_run, tmp_path):
    run = dataclasses.replace(RUN, recompute=True)
    recomputed = _train(tmp_path / "teacher", run).unet.get_weights()
    for weight, expected in zip(recomputed, _weights(demo_run.teacher), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-4)


def test_parts_that_do_not_divide_a_batch_are_an_error(tmp_path):
    run = dataclasses.replace(RUN, accumulate=7)
    with pytest.raises(InputError, match="accumulate=7, batch_size="):
        _train(tmp_path / "teacher", run)


def test_profiled_steps_are_recorded(tmp_path):
    directory = tmp_path / "teacher"
    log = dataclasses.replace(TINY.log, profile_steps=(2, 3))
    _train(directory, log=log)
    assert list(directory.glob("logs/plugins/profile/*/*.xplane.pb"))


def test_dataset_that_does_not_fit_is_an_error(tmp_path):
    unet = dataclasses.replace(TINY.unet, channels=3)
    with pytest.raises(InputError, match=r"of digits, 1. Received: channels=3"):
        _train(tmp_path / "teacher", unet=unet)
    assert list(tmp_path.iterdir()) == []


def test_unreadable_image_in_a_folder_is_named(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        grids.write_png(str(folder / f"{number}.png"), np.zeros([8, 8, 1], np.uint8))
    data = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(data[:-30])
    with pytest.raises(InputError, match=r"1.png is not a readable image"):
        _train(tmp_path / "teacher", data=DataConfig(str(folder)))
    assert not (tmp_path / "teacher").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png"]
